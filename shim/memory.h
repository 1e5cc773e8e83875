/*
 * Reading memory that may not be there.
 *
 * An unwinder follows words it found on a stack.  Each is checked first: page
 * by page, by a system call that answers instead of faulting (sys_readable),
 * remembered for this one capture only: a stack that another thread unmaps
 * between two captures is asked about again.
 */
#ifndef CGOHEAP_MEMORY_H
#define CGOHEAP_MEMORY_H

#include "base.h"

/* Two ranges are enough for the two stacks a capture alternates between. */
#define MEMORY_RANGES 4

struct memory {
	struct {
		uint64_t lo, hi; /* whole pages known to be readable */
	} ranges[MEMORY_RANGES];
	uint32_t next; /* to be replaced */
};

/* Nothing is known but the pages of [lo, hi]: a stretch of the running stack. */
void memory_init(struct memory *m, const void *lo, uint64_t hi);

/*
 * Whether so many more bytes of the running stack can be used: a small thread's
 * ends at its guard page, a signal handler's own at whatever lies below it.
 * Async-signal-safe.
 */
bool memory_has_stack(uint64_t bytes);

/* The aligned 8-byte word at address; false where it cannot be read. Async-signal-safe. */
bool memory_read(struct memory *m, uint64_t address, uint64_t *word);

/* Whether all of the bytes can be read; none of them is. Async-signal-safe. */
bool memory_holds(struct memory *m, uint64_t address, uint64_t bytes);

#endif
