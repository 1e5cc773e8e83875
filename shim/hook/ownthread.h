/*
 * A thread of the shim's: on a stack that we mapped (so that it is accounted as
 * ours and costs what it touches), all signals blocked, detached.
 */
#ifndef CGOHEAP_OWNTHREAD_H
#define CGOHEAP_OWNTHREAD_H

#include "base/base.h"

/* 0, or an error number.  Called on a thread of the host's, which pthread_create allocates for. */
int ownthread_create(void *(*run)(void *arg));

/* The stacks there are, guard pages included; for good. */
#define OWNTHREAD_MAX 4
struct ownthread_stack {
	uint64_t start, end;
};
size_t ownthread_stacks(struct ownthread_stack out[OWNTHREAD_MAX]);

/* In a child of fork that goes on: these threads are the parent's; their stacks go. */
void ownthread_forget(void);

#endif
