/*
 * The slow half of the lock.
 *
 * On the host's threads a futex is the last resort: a filter of the thread's own
 * may kill for it, and nothing tells.  The lock is only ever held for a few dozen
 * instructions, so that a holder who is preempted is all that takes long: it runs
 * again after a slice or two, and the spinning lasts dozens of them.  What remains
 * is a thread of real-time priority on the holder's processor; it would wait for
 * ever, and sleeps.  (Where children of fork go on, whoever forks holds the locks for
 * as long as the kernel copies: there sleeping comes early.)
 *
 * Where many spin at once, they keep the processors from the holder: two thousand
 * threads each spin a slice away before it runs again.  So the more wait, the sooner
 * each sleeps.  Threads with as few processors meet in malloc's own locks too.
 *
 * Threads of ours look again after a moment, and never say that they sleep: no
 * hook has to wake them.  After Drepper, "Futexes Are Tricky", mutex2.
 */
#include "base/lock.h"

#include <errno.h>

#define SPINS_OF_FORK 100
#define SPINS         (1 << 22)
#define WAITING_MAX   8
#define MOMENT_NS     50000
#define LONG_WAIT_NS  500000000

static const struct timespec long_wait = {.tv_nsec = LONG_WAIT_NS};

void (*lock_waited_long)(void);

static uint32_t waiting; /* threads, behind whichever locks */

__thread bool lock_own_thread __attribute__((tls_model("initial-exec"), visibility("hidden")));

static bool lock_try(struct lock *l)
{
	uint32_t expected = 0;
	return LOAD(&l->state) == 0 &&
	       __atomic_compare_exchange_n(&l->state, &expected, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void tell(void)
{
	void (*waited_long)(void) = LOAD(&lock_waited_long);

	if (waited_long)
		waited_long();
}

static void wait_on_own_thread(struct lock *l)
{
	static const struct timespec moment = {.tv_nsec = MOMENT_NS};

	for (uint32_t moments = 1; !lock_try(l); moments++) {
		sys_call(nanosleep, &moment, 0);
		if (moments % (LONG_WAIT_NS / MOMENT_NS) == 0)
			tell();
	}
}

/* A quarter for each that waits beside this thread. */
static int spins_now(void)
{
	uint32_t others = LOAD(&waiting) - 1;

	if (LOAD(&lock_waited_long))
		return SPINS_OF_FORK;
	return SPINS >> 2 * (others < WAITING_MAX ? others : WAITING_MAX);
}

static bool spin(struct lock *l)
{
	for (int i = 0; i < spins_now(); i++) {
		if (lock_try(l))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/* From here on the state says that somebody may sleep, whoever takes it. */
static void sleep_behind(struct lock *l)
{
	while (__atomic_exchange_n(&l->state, 2, __ATOMIC_ACQUIRE) != 0)
		if (sys_call(futex, &l->state, FUTEX_WAIT, 2, &long_wait) == -ETIMEDOUT)
			tell();
}

void lock_wait(struct lock *l)
{
	if (lock_own_thread)
		return wait_on_own_thread(l);
	ADD(&waiting, 1);
	if (!spin(l))
		sleep_behind(l);
	ADD(&waiting, -1);
}

void lock_wake(struct lock *l)
{
	sys_call(futex, &l->state, FUTEX_WAKE, 1);
}
