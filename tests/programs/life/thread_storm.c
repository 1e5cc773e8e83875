/*
 * Ten thousand threads come and go. The shim's memory does not grow, its list of threads
 * empties, and what the threads leave behind is counted until another thread frees it.
 */
#include <pthread.h>

#include "life.h"

#define AT_ONCE 20
#define LEFT    1000

static void *left[LEFT];

static void *come_and_go(void *arg)
{
	void *p = malloc(7001);
	free(realloc(p, 7003));
	return arg;
}

static void *leave_one(void *slot)
{
	*(void **)slot = malloc(7013);
	return NULL;
}

static void run(void *(*start)(void *), int first, int count)
{
	pthread_t threads[AT_ONCE];
	for (int n = first; n < first + count; n += AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++)
			CHECK(pthread_create(&threads[i], NULL, start, &left[(n + i) % LEFT]) == 0);
		for (int i = 0; i < AT_ONCE; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
	}
}

int main(void)
{
	run(come_and_go, 0, 2000);
	run(leave_one, 0, LEFT);
	long long before = hooks_status("resident_bytes");
	run(come_and_go, 0, 10000);
	long long after = hooks_status("resident_bytes");
	if (after > before + (256 << 10)) {
		dprintf(2, "%lld bytes of the shim's own before, %lld after\n", before, after);
		return 1;
	}
	CHECK(hooks_status("threads") <= 2);
	EXPECT(7001, 12000, 0);
	EXPECT(7003, 12000, 0);
	EXPECT(7013, LEFT, LEFT);
	for (int i = 0; i < LEFT; i++)
		free(left[i]);
	EXPECT(7013, LEFT, 0);
	return 0;
}
