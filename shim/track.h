/*
 * The slow halves of the hooks: what happens when an allocation may be
 * sampled, or a freed block may have been.  interpose.c has the fast halves.
 *
 * Order is the point here.  A block is recorded before its address is returned,
 * and its record is taken out before the real free: in between, the address is
 * nobody else's.  errno is as the real function left it.
 */
#ifndef CGOHEAP_TRACK_H
#define CGOHEAP_TRACK_H

#include "base.h"

void *track_malloc(size_t size);
void *track_calloc(size_t count, size_t size);
void *track_realloc(void *p, size_t size);
int track_posix_memalign(void **out, size_t alignment, size_t size);
void *track_aligned_alloc(size_t alignment, size_t size);
void *track_memalign(size_t alignment, size_t size);
void *track_valloc(size_t size);
void *track_pvalloc(size_t size);
void track_free(void *p);
/* Takes the record out, before the block is freed.  Whether it is the real one's to free. */
bool track_forget(void *p);

/* What could not be recorded, and why (status page; each only grows). */
struct track_drops {
	uint64_t live_full; /* no room for another live block */
	uint64_t reentered; /* sampled, or maybe a sample's free, while inside the shim */
	uint64_t no_stack;  /* no recording stack left */
	uint64_t stale;     /* a free was missed; its record was replaced */
};
extern struct track_drops track_drops;
extern uint64_t track_missed_bytes;                  /* that stale records stood for */
extern uint64_t track_samples;                       /* blocks recorded */
extern uint64_t track_ends[/* CAPTURE_END_COUNT */]; /* stacks by how they ended */

#endif
