/*
 * The library's clocks as a test moves them on, instead of sleeping: for programs that are linked
 * with --wrap=clock_ns (Makefile).
 */
#ifndef CGOHEAP_TESTS_TESTCLOCK_H
#define CGOHEAP_TESTS_TESTCLOCK_H

#include "base/clock.h"

static uint64_t testclock_ahead_ns;
static uint64_t testclock_stopped_ns; /* the monotonic clock says this; 0: it runs */

uint64_t __real_clock_ns(clockid_t clock);
uint64_t __wrap_clock_ns(clockid_t clock);

uint64_t __wrap_clock_ns(clockid_t clock)
{
	uint64_t stopped = clock == CLOCK_MONOTONIC ? LOAD(&testclock_stopped_ns) : 0;

	return (stopped ? stopped : __real_clock_ns(clock)) + LOAD(&testclock_ahead_ns);
}

/* A thread that already waits is not woken. */
static inline void testclock_advance(uint64_t ns)
{
	ADD(&testclock_ahead_ns, ns);
}

/* Time does not run out meanwhile, however slow the machine is. */
static inline void testclock_stop(void)
{
	STORE(&testclock_stopped_ns, __real_clock_ns(CLOCK_MONOTONIC));
}

/* It jumps to where it would have been. */
static inline void testclock_go_on(void)
{
	STORE(&testclock_stopped_ns, UINT64_C(0));
}

#endif
