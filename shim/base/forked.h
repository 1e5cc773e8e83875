/*
 * Detects forked children for which no pthread_atfork handler runs.
 *
 * Those handlers run only in fork.  A child of _Fork or of a raw clone has the same
 * problem as a child of fork: locks that other threads held stay held.  Such children
 * may also map memory.  So one page is marked MADV_WIPEONFORK, and the kernel zeroes it
 * in every child that has its own memory (Linux 4.14; on older kernels such a child goes
 * unnoticed).  A child that shares its parent's memory, as after vfork, shares the page
 * too.
 */
#ifndef CGOHEAP_FORKED_H
#define CGOHEAP_FORKED_H

#include "base/arch.h"
#include "base/base.h"

struct forked {
	uint8_t is_parent;             /* 0 in a child, and before forked_watch */
	char rest[ARCH_PAGE_MOST - 1]; /* the kernel zeroes whole pages */
};
extern struct forked forked_page __attribute__((visibility("hidden")));

/* Once, in the constructor.  in_child runs once in each child, from the first check there. */
void forked_watch(void (*in_child)(void));

/* Called in a child; later calls do nothing. */
void forked_noticed(void);
void forked_check(void); /* for forked_look */

/* Also true before forked_watch. */
static inline bool forked_is_child(void)
{
	return !LOAD(&forked_page.is_parent);
}

/* Call before taking a shim lock on the host's thread.  Async-signal-safe. */
static inline void forked_look(void)
{
	if (unlikely(forked_is_child()))
		forked_check();
}

#endif
