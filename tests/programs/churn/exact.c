/*
 * Ten million allocations, all recorded, from thousands of stacks in four threads: the library's
 * memory stays within its bound, and every one is counted.
 */
#include <pthread.h>

#include "../mappings/mappings.h"

#define THREADS 4
#define EACH    2500000
#define BURST   100 /* allocations from one stack */
#define RING    4096
#define DEPTH   15

struct thread {
	pthread_t thread;
	uint64_t state;
	void *ring[RING];
	long done;
};

static void burst(struct thread *t)
{
	for (int i = 0; i < BURST; i++) {
		t->state = t->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		void **slot = &t->ring[t->state >> 52];
		free(*slot);
		*slot = OPAQUE(malloc(16 + 16 * (t->state >> 32 & 7)));
		CHECK(*slot);
	}
	t->done += BURST;
}

NOINLINE static void left(struct thread *t, uint32_t way, int depth);
NOINLINE static void right(struct thread *t, uint32_t way, int depth);

static inline void go_on(struct thread *t, uint32_t way, int depth)
{
	if (depth == 0)
		burst(t);
	else if (way & 1)
		left(t, way >> 1, depth - 1);
	else
		right(t, way >> 1, depth - 1);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

static void left(struct thread *t, uint32_t way, int depth)
{
	go_on(t, way, depth);
}

static void right(struct thread *t, uint32_t way, int depth)
{
	go_on(t, way, depth);
}

static void *run(void *arg)
{
	struct thread *t = arg;

	while (t->done < EACH)
		go_on(t, (uint32_t)(t->state >> 33), DEPTH);
	for (int i = 0; i < RING; i++)
		free(t->ring[i]);
	return NULL;
}

int main(void)
{
	static struct thread threads[THREADS];
	long long most = hooks_status("max_bytes");

	for (int i = 0; i < THREADS; i++) {
		threads[i].state = (uint64_t)i + 1;
		CHECK(!pthread_create(&threads[i].thread, NULL, run, &threads[i]));
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i].thread, NULL));
	CHECK(hooks_status("resident_bytes") <= most);
	/* Four threads may need more than the one core that they may have: then it is fewer. */
	bool all = hooks_status("sample_bytes") == 1;
	CHECK(hooks_status("taken") >= (all ? THREADS * EACH : THREADS * EACH / 2));
	CHECK(hooks_status("live_full") == 0 && hooks_status("stale") == 0);
	/* The stacks were more than fit. Those without a block make room once the library's thread
	 * has looked; until then what does not fit is recorded without its stack. */
	CHECK(hooks_status("reclaimed") > 0 || hooks_status("no_room") > 0);
	return 0;
}
