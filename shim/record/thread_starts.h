/*
 * Start routines of threads that are being created (threads.c), in blocks of a pool in the
 * region. A new thread gets its block as its argument and first gives it back.
 *
 * Any thread; lock-free, async-signal-safe.
 */
#ifndef CGOHEAP_THREAD_STARTS_H
#define CGOHEAP_THREAD_STARTS_H

#include "base/base.h"

struct thread_start {
	void *(*start)(void *);
	void *arg;
	uint64_t stack_bytes;
	uint32_t site;
	uint32_t next; /* in the list of free blocks */
};

/* Block 0 means none. */
struct thread_start *thread_starts_at(uint32_t block);

/* Returns 0 if none is left. */
uint32_t thread_starts_take(void);
void thread_starts_give(uint32_t block);

/* Visits the site of each thread that was created but does not run yet, and zeros
 * (stacks_reclaim.c). */
void thread_starts_each_site(void (*visit)(uint32_t site));

#endif
