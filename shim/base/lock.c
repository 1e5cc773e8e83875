/*
 * The slow path of the lock.
 *
 * On the host's threads a futex call is the last resort: a seccomp filter of that thread
 * may kill for it, and the thread cannot tell.  The lock is held for a few dozen
 * instructions only, so a long wait means that the holder was preempted.  It runs again
 * after a slice or two, and spinning lasts for dozens of slices.  One case remains: a
 * real-time thread that occupies the holder's processor would spin forever, so it sleeps.
 * (If profiling continues in forked children, the forking thread holds the locks while
 * the kernel copies the process; then threads sleep early.)
 *
 * Many spinning threads keep the processors from the holder: two thousand threads each
 * spin for a slice before it runs again.  So the more threads wait, the sooner each one
 * sleeps.  Programs with that many threads and few processors contend for malloc's own
 * locks as well.
 *
 * The shim's threads poll with short sleeps and do not set state 2, so no hook has to
 * wake them.  After Drepper, "Futexes Are Tricky", mutex2.
 */
#include "base/lock.h"

#include <errno.h>

#define SPINS_OF_FORK 100
#define SPINS         (1 << 22)
#define CROWD         4
#define CROWDS_MAX    8
#define MOMENT_NS     50000
#define NAP_NS        5000000
#define LONG_WAIT_NS  500000000

static const struct timespec nap = {.tv_nsec = NAP_NS};

static void (*call_after_long)(void);

void lock_on_long_wait(void (*call)(void))
{
	STORE(&call_after_long, call);
}

static uint32_t waiting; /* threads, on all locks */

__thread bool lock_own_thread __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Reads first, so that many waiters share the line. */
static int look_and_try(struct lock *l)
{
	return LOAD(&l->state) == 0 ? lock_try(l) : -1;
}

static void tell(void)
{
	void (*call)(void) = LOAD(&call_after_long);

	if (call)
		call();
}

static void wait_on_own_thread(struct lock *l)
{
	static const struct timespec moment = {.tv_nsec = MOMENT_NS};

	for (uint32_t moments = 1; look_and_try(l); moments++) {
		sys_call(nanosleep, &moment, 0);
		if (moments % (LONG_WAIT_NS / MOMENT_NS) == 0)
			tell();
	}
}

/*
 * Divided by four for each CROWD of other waiting threads.  Fewer do not shorten it: one of
 * them may have a filter that forbids the futex.
 */
static int spins_now(void)
{
	uint32_t crowds = (LOAD(&waiting) - 1) / CROWD;

	if (LOAD(&call_after_long))
		return SPINS_OF_FORK;
	return SPINS >> 2 * (crowds < CROWDS_MAX ? crowds : CROWDS_MAX);
}

static bool spin(struct lock *l)
{
	for (int i = 0; i < spins_now(); i++) {
		if (look_and_try(l) == 0)
			return true;
		arch_pause();
	}
	return false;
}

/*
 * State 2 tells whichever thread holds the lock that others may be sleeping. A holder that is
 * about to release it may miss that, so a sleeper looks again after a nap.
 */
static void sleep_behind(struct lock *l)
{
	uint32_t naps = 0;

	while (__atomic_exchange_n(&l->state, 2, __ATOMIC_ACQUIRE) != 0)
		if (sys_call(futex, &l->state, FUTEX_WAIT, 2, &nap) == -ETIMEDOUT &&
		    ++naps % (LONG_WAIT_NS / NAP_NS) == 0)
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
