/*
 * Each allocator function is called by one C function in a separate file, so that the compiler
 * can neither inline nor pair them.
 */
#include "liveset.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

void *ls_malloc(size_t n)
{
	return malloc(n);
}

void *ls_calloc(size_t count, size_t n)
{
	return calloc(count, n);
}

void *ls_realloc(void *p, size_t n)
{
	return realloc(p, n);
}

void *ls_reallocarray(void *p, size_t count, size_t n)
{
	return reallocarray(p, count, n);
}

void *ls_posix_memalign(size_t alignment, size_t n)
{
	void *p = NULL;
	return posix_memalign(&p, alignment, n) ? NULL : p;
}

void *ls_aligned_alloc(size_t alignment, size_t n)
{
	return aligned_alloc(alignment, n);
}

void *ls_memalign(size_t alignment, size_t n)
{
	return memalign(alignment, n);
}

void *ls_valloc(size_t n)
{
	return valloc(n);
}

void *ls_pvalloc(size_t n)
{
	return pvalloc(n);
}

void *ls_strdup(const char *s)
{
	return strdup(s);
}

void ls_free(void *p)
{
	free(p);
}

#define MAX_THREADS 16

static struct ring {
	size_t n;
	long count;
	void **blocks;
	struct ring *neighbour;
	pthread_barrier_t *barrier;
} rings[MAX_THREADS];

/* A thread frees its blocks 0, 3, 6 ...; its neighbour frees 1, 4, 7 ... */
static void *ls_worker(void *arg)
{
	struct ring *r = arg;

	for (long i = 0; i < r->count; i++) {
		r->blocks[i] = malloc(r->n);
		if (i % 3 == 0) {
			free(r->blocks[i]);
			r->blocks[i] = NULL;
		}
	}
	pthread_barrier_wait(r->barrier);
	for (long i = 1; i < r->neighbour->count; i += 3) {
		free(r->neighbour->blocks[i]);
		r->neighbour->blocks[i] = NULL;
	}
	return NULL;
}

long ls_threads(int threads, long count, size_t n)
{
	static pthread_barrier_t barrier;
	static void *blocks[MAX_THREADS][4096];
	pthread_t ids[MAX_THREADS];
	long kept = 0;

	if (threads > MAX_THREADS || count > 4096)
		return -1;
	pthread_barrier_init(&barrier, NULL, (unsigned)threads);
	for (int t = 0; t < threads; t++)
		rings[t] = (struct ring){n, count, blocks[t], &rings[(t + 1) % threads], &barrier};
	for (int t = 0; t < threads; t++) {
		if (pthread_create(&ids[t], NULL, ls_worker, &rings[t]))
			return -1;
	}
	for (int t = 0; t < threads; t++)
		pthread_join(ids[t], NULL);
	for (int t = 0; t < threads; t++) {
		for (long i = 0; i < count; i++)
			kept += blocks[t][i] != NULL;
	}
	return kept;
}
