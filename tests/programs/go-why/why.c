#include "why.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *why_malloc(size_t n)
{
	void *p = malloc(n);

	if (p == NULL)
		abort();
	return memset(p, 1, n);
}

void why_free(void *p)
{
	free(p);
}

struct given {
	void **blocks;
	size_t count;
};

static void *free_given(void *arg)
{
	struct given *given = arg;

	for (size_t i = 0; i < given->count; i++)
		free(given->blocks[i]);
	return NULL;
}

void why_free_by_thread(void **blocks, size_t count)
{
	struct given given = {blocks, count};
	pthread_t thread;

	if (pthread_create(&thread, NULL, free_given, &given))
		abort();
	pthread_join(thread, NULL);
}

#define PAGE 4096
/* Too large for the caches of a thread, and no multiple of anything. */
#define PIECE_BYTES 2000
/* Before a block lies its size. */
#define HEADER 8

static int is_kept(size_t i, size_t count, size_t keep_every)
{
	return i % keep_every == 0 || i == count - 1;
}

static void add_hole(uintptr_t from, uintptr_t to, size_t figures[WHY_FIGURES])
{
	uintptr_t first = (from + PAGE - 1) / PAGE * PAGE, end = to / PAGE * PAGE;
	size_t whole = end > first ? end - first : 0;

	figures[WHY_RETURNABLE] += whole;
	figures[WHY_PINNED] += to - from - whole;
}

void why_fragment(size_t count, size_t keep_every, size_t figures[WHY_FIGURES])
{
	void **blocks = calloc(count, sizeof(*blocks));
	size_t hole = 0;

	memset(figures, 0, WHY_FIGURES * sizeof(*figures));
	if (blocks == NULL)
		abort();
	for (size_t i = 0; i < count; i++)
		blocks[i] = why_malloc(PIECE_BYTES);
	/* What is between a freed block and the next kept one is free, if they are neighbours. */
	for (size_t i = 1; i < count; i++) {
		uintptr_t from = (uintptr_t)blocks[i - 1] - HEADER;
		uintptr_t to = (uintptr_t)blocks[i] - HEADER;
		int is_next = to > from && to - from < 2 * PIECE_BYTES;

		if (!is_kept(i - 1, count, keep_every) && hole == 0)
			hole = from;
		if (hole != 0 && (is_kept(i, count, keep_every) || !is_next)) {
			add_hole(hole, is_next ? to : from + PIECE_BYTES, figures);
			hole = 0;
		}
	}
	for (size_t i = 0; i < count; i++)
		if (!is_kept(i, count, keep_every))
			free(blocks[i]);
	free(blocks);
}
