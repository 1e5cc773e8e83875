/*
 * The slow halves of the hooks: what happens when an allocation may be sampled, or a freed block
 * may have been. interpose.c has the fast halves.
 *
 * Order matters. A block is recorded before its address is returned, and its record is removed
 * before the real free, so no other block can have the address in between. errno is as the real
 * function left it.
 */
#ifndef CGOHEAP_MALLOC_SLOW_H
#define CGOHEAP_MALLOC_SLOW_H

#include "base/base.h"

void *slow_malloc(size_t size);
void *slow_calloc(size_t count, size_t size);
void *slow_realloc(void *p, size_t size);
int slow_posix_memalign(void **out, size_t alignment, size_t size);
void *slow_aligned_alloc(size_t alignment, size_t size);
void *slow_memalign(size_t alignment, size_t size);
void *slow_valloc(size_t size);
void *slow_pvalloc(size_t size);

/* What could not be recorded, and why (for the status; each only grows). */
struct slow_drops {
	uint64_t live_full; /* no room for another live block */
	uint64_t reentered; /* sampled, or possibly the free of a sample, while inside the shim */
	uint64_t no_stack;  /* no recording stack left */
	uint64_t stale;     /* a free was missed, and its record was replaced */
};
extern struct slow_drops slow_drops;
extern uint64_t slow_missed_bytes; /* bytes that stale records stood for */
uint64_t slow_samples_taken(void); /* blocks recorded */
uint64_t slow_ended(uint32_t end); /* stacks that ended so */

/* Of work that had no recording stack. */
extern uint64_t slow_samples;
extern uint64_t slow_ends[/* CAPTURE_END_COUNT */];

/* Counts for the other hooks: no recording stack was left; how a captured stack ended. */
void slow_count_no_stack(void);
void slow_count_end(uint32_t end);

#endif
