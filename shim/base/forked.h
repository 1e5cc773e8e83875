/*
 * Children of fork that no handler tells us of.
 *
 * pthread_atfork's handlers run in fork alone.  A child of _Fork or of a raw clone
 * has what fork's has: the locks that other threads held, and nobody to release
 * them; and it may map memory, as such children do.  So there is a page that the
 * kernel empties in every child with a memory of its own (MADV_WIPEONFORK, Linux
 * 4.14; before, such a child goes unnoticed).  One that shares its maker's, as
 * vfork's, shares the page too.
 */
#ifndef CGOHEAP_FORKED_H
#define CGOHEAP_FORKED_H

#include "base/base.h"

struct forked {
	uint8_t is_parent; /* 0 in a child, once there is a page to tell */
	char rest[PAGE_BYTES - 1];
};
extern struct forked forked_page __attribute__((visibility("hidden")));

/* Once, in the constructor.  in_child is called once in each child, by whatever comes first. */
void forked_watch(void (*in_child)(void));

/* This is a child; safe to call again. */
void forked_noticed(void);

/* Before a lock of ours is taken on the host's thread.  Async-signal-safe. */
static inline void forked_look(void)
{
	if (unlikely(!LOAD(&forked_page.is_parent)))
		forked_noticed();
}

#endif
