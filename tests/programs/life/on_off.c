/*
 * Threads that run on a draw which they would never use up learn that sampling
 * became fine, and that it is off, each of them, without being signalled; and
 * blocks sampled before stay known until they are freed.  A signal of any number
 * would be noticed: there is none.
 */
#include <pthread.h>

#include "life.h"

#define THREADS 8

static void *blocks[THREADS];
static int stop;

/* A size of its own a thread; the last block is kept, the others go. */
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

/* The program is ended from outside where this never comes true. */
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
	/* Each has drawn by the interval of the start, 1 GiB. */
	while (hooks_status("threads") < THREADS)
		usleep(10000);
	life_sampling("state=on&sample_bytes=1");
	for (size_t i = 0; i < THREADS; i++)
		wait_until_sampled(i);

	/* A block of before `off`, made by a thread that has seen `on`. */
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

	/* Theirs are freed by now: the one after has taken its place. */
	for (size_t i = 0; i < THREADS; i++)
		CHECK(hooks_figures_of(7000 + i).live == 0);

	/* And once more: threads that went by the state `off` see `on` again. */
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
