/*
 * What is in use now, piece by piece, with its age: the sampled blocks, and the pieces of mappings
 * and threads' stacks that count.
 */
#ifndef CGOHEAP_INUSE_H
#define CGOHEAP_INUSE_H

#include "base/base.h"
#include "region/region.h"
#include "record/mappings_range.h"
#include "record/weight.h"

/*
 * Calls visit for each: its site (stacks.h), the tick of its allocation (live.h) and what it stands
 * for, of a thread's stack its resident bytes. Each piece of a mapping has its own age; the object
 * counts with the piece that represents it. visit must not lock, allocate or call a hook, and
 * should be short. 0, or -1 if scratch is exhausted, when mappings are missing. The library's
 * threads; takes the locks of the live table and of the table of mappings, one at a time.
 */
int inuse_each(struct scratch *scratch,
	       void (*visit)(uint32_t site, uint32_t tick, struct weight w, void *arg), void *arg);

/*
 * The memory in a range. For a thread's stack, the touched part: its 8 MiB are address space,
 * not a leak.
 */
uint64_t inuse_range_bytes(const struct mappings_range *range);

#endif
