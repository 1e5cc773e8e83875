/*
 * What threads that are about to begin are to do (threads.c), in blocks of a pool in the
 * region: a thread takes its block along as its argument and gives it back first of all.
 *
 * Any thread; lock-free, async-signal-safe.
 */
#ifndef CGOHEAP_THREAD_STARTS_H
#define CGOHEAP_THREAD_STARTS_H

#include "base/base.h"

/* What a new thread is to do. */
struct thread_start {
	void *(*start)(void *);
	void *arg;
	uint64_t stack_bytes;
	uint32_t site;
	uint32_t next; /* in the list of free blocks */
};

/* Block 0 is no block. */
struct thread_start *thread_starts_at(uint32_t block);

/* 0: none is left. */
uint32_t thread_starts_take(void);
void thread_starts_give(uint32_t block);

/* The site of each thread that was created and does not yet run, and zeros (stacks_reclaim.c). */
void thread_starts_each_site(void (*visit)(uint32_t site));

#endif
