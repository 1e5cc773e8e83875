/*
 * N blocks of 16 to 1,039 bytes that one thread allocates and another frees, handed over 256 at a
 * time; of every 64 blocks one stays.
 */
#include <pthread.h>
#include <stdlib.h>

#include "work.h"

#define BATCH   256
#define BATCHES 8

struct batch {
	void *blocks[BATCH];
};

static struct batch queue[BATCHES];
static long put, taken, batches; /* batches so far; put - taken are in the queue */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* Waits until COUNTER has moved on to where this side may work. */
static void await(long *counter, long least)
{
	pthread_mutex_lock(&lock);
	while (*counter < least)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void advance(long *counter)
{
	pthread_mutex_lock(&lock);
	++*counter;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void *produce(void *unused)
{
	for (long b = 0; b < batches; b++) {
		await(&taken, b - BATCHES + 1);
		for (int i = 0; i < BATCH; i++)
			queue[b % BATCHES].blocks[i] = malloc(16 + (size_t)(b * BATCH + i) % 1024);
		advance(&put);
	}
	return unused;
}

static void *consume(void *unused)
{
	for (long b = 0; b < batches; b++) {
		await(&put, b + 1);
		for (int i = 0; i < BATCH; i++) {
			if (i % 64)
				free(work_opaque(queue[b % BATCHES].blocks[i]));
		}
		advance(&taken);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];

	batches = work_begin(argc, argv) / BATCH + 1;
	pthread_create(&threads[0], NULL, produce, NULL);
	pthread_create(&threads[1], NULL, consume, NULL);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	work_end();
	return 0;
}
