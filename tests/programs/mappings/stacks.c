/*
 * Threads' stacks: each counts at its creator, by its size, while its thread runs; and a
 * thread's own stacks end where they end without the shim.
 */
#include <execinfo.h>
#include <limits.h>
#include <pthread.h>
#include <threads.h>

#include "mappings.h"

#define THREADS 20
#define KIBS(n) ((size_t)(n)*1024)

static pthread_barrier_t ready, leave;

static void *waits(void *arg)
{
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&leave);
	return arg;
}

static void *waits_and_exits(void *arg)
{
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&leave);
	pthread_exit(arg);
}

static void create(pthread_t *t, size_t bytes, bool detached, void *(*f)(void *), void *arg)
{
	pthread_attr_t a;
	CHECK(pthread_attr_init(&a) == 0 && pthread_attr_setstacksize(&a, bytes) == 0);
	CHECK(pthread_attr_setdetachstate(&a, detached) == 0);
	CHECK(pthread_create(t, &a, f, arg) == 0);
	CHECK(pthread_attr_destroy(&a) == 0);
}

static NOINLINE void create_small(pthread_t *t, int n, bool detached)
{
	for (int i = 0; i < n; i++)
		create(&t[i], KIBS(128), detached, i % 2 ? waits : waits_and_exits, &t[i]);
}

static NOINLINE void create_large(pthread_t *t, int n)
{
	for (int i = 0; i < n; i++)
		create(&t[i], KIBS(4096), false, waits, &t[i]);
}

/* Each thread's stack counts with what it has touched: more than nothing, but little of its
 * size. */
static void stacks_in_use(const char *function, size_t bytes)
{
	struct mappings_figures f = mappings_of("thread_stack", function);

	CHECK(f.objects == THREADS);
	CHECK(f.bytes >= THREADS * KIBS(4) && f.bytes <= THREADS * KIBS(64));
	CHECK(f.alloc_bytes > 0 && f.alloc_bytes % (long long)(THREADS * bytes) == 0);
}

static void rounds(void)
{
	pthread_t small[THREADS], large[THREADS];

	CHECK(pthread_barrier_init(&ready, NULL, 2 * THREADS + 1) == 0);
	CHECK(pthread_barrier_init(&leave, NULL, 2 * THREADS + 1) == 0);
	for (int round = 0; round < 5; round++) {
		create_small(small, THREADS, false);
		create_large(large, THREADS);
		pthread_barrier_wait(&ready);
		stacks_in_use("create_small", KIBS(128));
		stacks_in_use("create_large", KIBS(4096));
		pthread_barrier_wait(&leave);
		for (int i = 0; i < THREADS; i++) {
			void *result;
			CHECK(pthread_join(small[i], &result) == 0 && result == &small[i]);
			CHECK(pthread_join(large[i], &result) == 0 && result == &large[i]);
		}
		IN_USE("thread_stack", NULL, 0, 0);
	}
}

static void *detached_one(void *arg)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Detached threads cannot be joined, only observed. */
static void detached(void)
{
	pthread_t t;
	int done = 0;

	for (int i = 0; i < 100; i++)
		create(&t, KIBS(128), true, detached_one, &done);
	while (__atomic_load_n(&done, __ATOMIC_RELAXED) < 100 ||
	       mappings_of("thread_stack", NULL).objects)
		usleep(1000);
}

/* Not static: backtrace_symbols only knows exported functions. To an unwinder, libc calls the
 * start routine. */
void *start_is_the_root(void *arg)
{
	void *frames[16];
	int n = backtrace(frames, 16);
	char **names = backtrace_symbols(frames, n);

	CHECK(n >= 3 && n < 16 && strstr(names[0], "start_is_the_root"));
	for (int i = 0; i < n; i++)
		CHECK(!strstr(names[i], "libcgoheap"));
	free(names);
	CHECK(mmap(NULL, 77 * PAGE, RW, ANON, -1, 0) != MAP_FAILED);
	return arg;
}

static int waits_for_c11(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&leave);
	return -4711;
}

static NOINLINE thrd_t create_c11(void)
{
	thrd_t t;
	CHECK(thrd_create(&t, waits_for_c11, NULL) == thrd_success);
	return t;
}

/* C11 threads: libc creates them without pthread_create. */
static void c11(void)
{
	int result;

	CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
	CHECK(pthread_barrier_init(&leave, NULL, 2) == 0);
	thrd_t t = create_c11();
	pthread_barrier_wait(&ready);
	CHECK(mappings_of("thread_stack", "create_c11").objects == 1);
	pthread_barrier_wait(&leave);
	CHECK(thrd_join(t, &result) == thrd_success && result == -4711);
	IN_USE("thread_stack", NULL, 0, 0);
}

int main(void)
{
	pthread_t t;
	long long truncated;

	backtrace(&(void *){0}, 1); /* loads libgcc_s */
	truncated = hooks_status("truncated");
	rounds();
	detached();
	c11();
	create(&t, KIBS(128), false, start_is_the_root, NULL);
	CHECK(pthread_join(t, NULL) == 0);
	IN_USE("mmap", "start_is_the_root", 1, 77 * PAGE);
	/* The minimum size: the hooks must fit in addition to everything else. */
	create(&t, (size_t)PTHREAD_STACK_MIN, false, detached_one, &(int){0});
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(hooks_status("truncated") == truncated);
	return 0;
}
