/*
 * The slow half of free: takes a sampled block's record out, and captures who frees for some.
 *
 * errno is kept.
 */
#ifndef CGOHEAP_FREE_SLOW_H
#define CGOHEAP_FREE_SLOW_H

#include "base/arch.h"
#include "base/base.h"
#include "record/live.h"

void slow_free(void *p);

/* Removes the record before the block is freed. Returns whether the block is for the real free. */
bool slow_forget(void *p);

/* ---- for realloc (malloc_slow.c) -------------------------------------------- */

/* Whether there can be any records. */
bool free_is_tracked(void);

/* A call from inside the shim is never recorded; it is counted if a record was in progress. */
void free_count_reentered(void);

/* The block, whose record is out, counts as freed. */
void free_forget(const struct live_block *block);

/* Captures the stack that frees the block, as count frees, before free_forget; 0: does nothing.
 * host: as in recstack_work. */
void free_capture(const struct live_block *block, uint32_t count, const struct regs *host);

#endif
