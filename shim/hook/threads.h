/*
 * Threads' stacks in the table of mappings.
 *
 * libc maps them where no hook sees it, so each new thread says itself where its
 * stack lies: pthread_create's start routine is put into a block of a pool in the
 * region, and the thread begins in a routine of ours that records the stack, gives
 * the block back and jumps to the host's (a tail call: it leaves no frame).
 *
 * A stack counts at the stack of who created the thread, by its size as the
 * attributes have it, until the thread ends.  After that libc keeps it for the next
 * thread, or unmaps it unseen: MAPPINGS_CACHED_STACK.
 *
 * Threads that libc makes by itself, for timers and asynchronous I/O, pass no hook:
 * account_stacks.c finds their stacks.
 *
 * A stack that the program brought itself (pthread_attr_setstack) is the
 * program's memory: it is counted where that was allocated, and not here.
 */
#ifndef CGOHEAP_THREADS_H
#define CGOHEAP_THREADS_H

#include <pthread.h>

#include "base/base.h"

/* Once, in the constructor, after region_init. */
void threads_init(void);

/* pthread_create, as the hook was called.  caller: its return address. */
int threads_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
		   void *arg, uint64_t caller);

/* thrd_create, the same. */
int threads_create_c11(pthread_t *thread, int (*start)(void *), void *arg, uint64_t caller);

/* Threads whose stack could not be recorded: no block, no key, or created inside the shim. */
uint64_t threads_missed(void);

#endif
