/*
 * Makes room for new stacks by removing stacks with nothing in use.
 *
 * Stacks come and go in a program that loads and unloads libraries, recurses, or labels each
 * request. When the arena is more than half full, stacks with nothing in use that were not met
 * since the last look are removed; when it is more than three quarters full, all with nothing in
 * use are. What was allocated at them moves to one site for each origin, under a stack without
 * frames that ends in CAPTURE_RECLAIMED: totals stay true, and only the place of allocation is
 * forgotten. Sets of labels that no stack refers to are removed with them (labelsets.h).
 *
 * A stack is first taken out of its bucket. Its cells are freed once every hook that may have
 * found it earlier is done (pins.h). A stack that got a block meanwhile, or that a mapping or a
 * new thread refers to, goes back.
 *
 * A stack that had something in use at a peak (peak.h) stays below three quarters. Above, what it
 * had then moves with its totals, so that the peak's sum stays true.
 */
#ifndef CGOHEAP_STACKS_RECLAIM_H
#define CGOHEAP_STACKS_RECLAIM_H

#include "base/base.h"
#include "record/stacks.h"

/*
 * Looks for stacks to remove and does a part of the work. Called from the server's loop, on the
 * thread that reads stacks. Returns the nanoseconds until the next call.
 */
uint64_t stacks_reclaim_tick(void);

/* Stacks that are out of their buckets but not yet freed, linked by stack.reclaim; 0: none. */
uint32_t stacks_reclaim_first(void);

uint64_t stacks_reclaimed(void); /* how many stacks so far */

/* In a child of fork that keeps profiling: puts back what was taken out. */
void stacks_reclaim_follow_in_child(void);

#endif
