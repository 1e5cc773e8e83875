/*
 * Threads that run on a draw that they would never use up all learn that sampling became finer,
 * and that it is off, without being signalled; and blocks sampled before stay known until they
 * are freed. A signal of any number would be noticed: none arrives.
 */
#include <pthread.h>

#include "life.h"

#define THREADS 8

static void *blocks[THREADS];
static int stop;

/* Each thread has its own size; the last block is kept, the others are freed. */
static void *work(void *arg)
{
	size_t i = (size_t)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		void *old = __atomic_exchange_n(&blocks[i], malloc(7000 + i), __ATOMIC_ACQ_REL);
		free(old);
		usleep(5000);
	}
	return NULL;
}

static long long allocs(size_t i)
{
	return hooks_figures_of(7000 + i).allocs;
}

/* If this never becomes true, the program is ended from outside. */
static void wait_until_sampled(size_t i)
{
	while (allocs(i) == 0)
		usleep(20000);
}

static void wait_until_unsampled(size_t i)
{
	long long before;
	do {
		before = allocs(i);
		usleep(300000);
	} while (allocs(i) != before);
}

static int signalled;

static void note_signal(int signal)
{
	__atomic_store_n(&signalled, signal, __ATOMIC_RELAXED);
}

int main(void)
{
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		sigaction(signal, &(struct sigaction){.sa_handler = note_signal}, NULL);
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
	/* Each thread has drawn at the initial interval of 1 GiB. */
	while (hooks_status("threads") < THREADS)
		usleep(10000);
	life_sampling("state=on&sample_bytes=1");
	for (size_t i = 0; i < THREADS; i++)
		wait_until_sampled(i);

	/* A block from before `off`, allocated by a thread that has seen `on`. */
	void *kept = NULL;
	while (hooks_figures_of(7919).live == 0) {
		free(kept);
		kept = malloc(7919);
	}
	life_sampling("state=off");
	for (size_t i = 0; i < THREADS; i++)
		wait_until_unsampled(i);
	CHECK(hooks_figures_of(7919).live == 1);
	free(kept);
	CHECK(hooks_figures_of(7919).live == 0);

	/* Their blocks are freed by now and were replaced by the next. */
	for (size_t i = 0; i < THREADS; i++)
		CHECK(hooks_figures_of(7000 + i).live == 0);

	/* Once more: threads that saw `off` see `on` again. */
	long long before[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		before[i] = allocs(i);
	life_sampling("state=on&sample_bytes=1");
	for (size_t i = 0; i < THREADS; i++)
		while (allocs(i) == before[i])
			usleep(20000);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(!__atomic_load_n(&signalled, __ATOMIC_RELAXED));
	return 0;
}
