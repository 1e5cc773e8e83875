/*
 * Threads' stacks in the table of mappings.
 *
 * libc maps them unseen by hooks, so each new thread reports its own stack. pthread_create's
 * start routine is put into a block of a pool in the region. The thread begins in our routine,
 * which records the stack, gives the block back and jumps to the host's (a tail call, which
 * leaves no frame).
 *
 * A stack counts at the call stack that created the thread, by its size as given in the
 * attributes, until the thread ends. After that, libc keeps it for the next thread or unmaps it
 * unseen: MAPPINGS_CACHED_STACK.
 *
 * Threads that libc creates, for timers and asynchronous I/O, pass no hook: account_stacks.c
 * finds their stacks.
 *
 * A stack that the program supplies (pthread_attr_setstack) is the program's memory: it is
 * counted where it was allocated, and not here.
 */
#ifndef CGOHEAP_THREADS_H
#define CGOHEAP_THREADS_H

#include <pthread.h>

#include "base/base.h"

/* Call once, in the constructor, after region_init. */
void threads_init(void);

/* pthread_create, as the hook was called. caller: its return address. */
int threads_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
		   void *arg, uint64_t caller);

/* The same for thrd_create. */
int threads_create_c11(pthread_t *thread, int (*start)(void *), void *arg, uint64_t caller);

/* Threads whose stack could not be recorded: no block, no key, or created inside the shim. */
uint64_t threads_missed(void);

#endif
