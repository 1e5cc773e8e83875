/*
 * Room for new stacks, from those with nothing in use.
 *
 * Stacks come and go in a program that loads and unloads libraries, recurses, or
 * labels each request.  Where the arena is more than half full, stacks with
 * nothing in use that were not met since the last look are taken out; where it is
 * more than three quarters full, any with nothing in use.  What was allocated at
 * them goes to one site for each origin, under a stack of no frames that ends in
 * CAPTURE_RECLAIMED: totals stay true, and only where they came from is forgotten.
 * Sets of labels that no stack has any more go with them (labelsets.h).
 *
 * A stack is taken out of its bucket first, and its cells are free when each hook
 * that may have found it before is done (pins.h).  One that got a block meanwhile, or that
 * a mapping or a new thread refers to, goes back.
 */
#ifndef CGOHEAP_STACKS_RECLAIM_H
#define CGOHEAP_STACKS_RECLAIM_H

#include "base/base.h"
#include "record/stacks.h"

/*
 * A look, and a part of the work where there is any; from the server's loop, on
 * the thread that reads stacks.  Nanoseconds until it wants to be called again.
 */
uint64_t stacks_reclaim_tick(void);

/* Stacks that are taken out and not yet free, linked by stack.reclaim; 0: none. */
uint32_t stacks_reclaim_first(void);

uint64_t stacks_reclaimed(void); /* how many stacks, ever */

/* In a child of fork that goes on: what was taken out goes back. */
void stacks_reclaim_follow_in_child(void);

#endif
