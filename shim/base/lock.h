/*
 * A mutex of one futex word: 4 bytes, no allocation, no pthread, usable in shared
 * memory; zero is unlocked.  Hold it for a few dozen instructions at most, and never
 * while unwinding, symbolizing, allocating or calling anything outside the shim.  Not
 * recursive: code that a signal handler may re-enter checks sample_self.busy first.
 */
#ifndef CGOHEAP_LOCK_H
#define CGOHEAP_LOCK_H

#include <linux/futex.h>

#include "base/sys.h"

struct lock {
	uint32_t state; /* 0 free, 1 held, 2 held and a thread may be sleeping */
};

/* 0, or -1 if another thread holds it. Never waits. */
static inline int lock_try(struct lock *l)
{
	uint32_t expected = 0;
	bool is_ours = __atomic_compare_exchange_n(&l->state, &expected, 1, false, __ATOMIC_ACQUIRE,
						   __ATOMIC_RELAXED);
	return is_ours ? 0 : -1;
}

/* The slow paths, in lock.c: wait for the lock; wake a thread. */
void lock_wait(struct lock *l);
void lock_wake(struct lock *l);

/* call: by a thread that waits, every half second. */
void lock_on_long_wait(void (*call)(void));

/* Set by the shim's threads (ownthread.c): while waiting they may sleep in short steps. */
extern __thread bool lock_own_thread
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline void lock_take(struct lock *l)
{
	if (unlikely(lock_try(l)))
		lock_wait(l);
}

/*
 * Releases the lock. 1: a thread may sleep, so call lock_wake; otherwise 0.
 *
 * Two plain accesses instead of an exchange, which costs as much as thirty other instructions. A
 * waiter that stores 2 between them is not woken: it looks again by itself (lock.c).
 */
static inline int lock_unlock(struct lock *l)
{
	bool may_sleep = LOAD(&l->state) != 1;

	STORE_REL(&l->state, 0);
	return may_sleep;
}

static inline void lock_release(struct lock *l)
{
	if (unlikely(lock_unlock(l)))
		lock_wake(l);
}

#endif
