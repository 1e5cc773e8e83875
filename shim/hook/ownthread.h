/*
 * The shim's threads: detached, all signals blocked, on stacks that we map, so that the account
 * counts them as ours and they cost only the pages they touch.
 */
#ifndef CGOHEAP_OWNTHREAD_H
#define CGOHEAP_OWNTHREAD_H

#include "base/base.h"

/* Returns 0 or an error number. Call on a thread of the host's: pthread_create allocates there. */
int ownthread_create(void *(*run)(void *arg));

/* Number of stacks, mapped for good; sizes include guard pages. */
#define OWNTHREAD_MAX 4
struct ownthread_stack {
	uint64_t start, end;
};
size_t ownthread_stacks(struct ownthread_stack out[OWNTHREAD_MAX]);

/* In a child of fork that keeps profiling: these threads exist only in the parent, so their
 * stacks are freed. */
void ownthread_forget(void);

#endif
