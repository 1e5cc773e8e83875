/* See armed.h. */
#include "armed.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"
#include "libraries.h"
#include "oracle.h"

#define NOINLINE   __attribute__((noinline, noclone))
#define LEAST_SIZE 100000 /* oracle.go's firstSize: few other blocks are as large */

__thread struct armed armed_allocation, armed_callback;

static void *noted[ORACLE_MAX];
static int noted_count;
static volatile size_t sink;

static int is_due(struct armed *armed)
{
	if (!armed->is_armed || armed->skip-- > 0)
		return 0;
	armed->is_armed = 0;
	return 1;
}

NOINLINE static void *noted_malloc(size_t n)
{
	oracle_note(n);
	void *block = malloc(n);
	noted[__atomic_fetch_add(&noted_count, 1, __ATOMIC_RELAXED)] = block;
	return block;
}

NOINLINE void *armed_malloc(size_t bytes)
{
	void *block;

	if (bytes <= armed_allocation.n && is_due(&armed_allocation))
		block = noted_malloc(armed_allocation.n);
	else
		block = malloc(bytes);
	sink++;
	return block;
}

static int is_noted(void *block)
{
	if (malloc_usable_size(block) < LEAST_SIZE)
		return 0;
	for (int i = 0; i < __atomic_load_n(&noted_count, __ATOMIC_RELAXED); i++)
		if (noted[i] == block)
			return 1;
	return 0;
}

void armed_free(void *block)
{
	if (block && !is_noted(block))
		free(block);
}

void *armed_realloc(void *block, size_t bytes)
{
	if (!block || !is_noted(block))
		return realloc(block, bytes);
	size_t held = malloc_usable_size(block);
	void *next = malloc(bytes);
	if (next)
		memcpy(next, block, held < bytes ? held : bytes);
	return next;
}

NOINLINE void armed_call_back(void)
{
	size_t n = armed_callback.n;

	if (is_due(&armed_callback)) {
		oracle_note(n);
		goCallback(n);
	}
	sink++;
}

NOINLINE void libraries_leaf(size_t n)
{
	noted_malloc(n);
	sink++;
}
