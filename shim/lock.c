/*
 * The slow half of the lock: after Drepper, "Futexes Are Tricky", mutex2.  A
 * short spin first, since the lock is only ever held for a few dozen
 * instructions and a system call costs more than that.
 */
#include "lock.h"

#include <errno.h>

#define SPINS 100

static const struct timespec long_wait = {.tv_nsec = 500000000};

void (*lock_waited_long)(void);

static bool lock_try(struct lock *l)
{
	uint32_t expected = 0;
	return LOAD(&l->state) == 0 &&
	       __atomic_compare_exchange_n(&l->state, &expected, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

void lock_wait(struct lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		if (lock_try(l))
			return;
		__builtin_ia32_pause();
	}
	/* From here on the state says that somebody may sleep, whoever takes it. */
	while (__atomic_exchange_n(&l->state, 2, __ATOMIC_ACQUIRE) != 0)
		if (sys_call(futex, &l->state, FUTEX_WAIT, 2, &long_wait) == -ETIMEDOUT &&
		    LOAD(&lock_waited_long))
			lock_waited_long();
}
