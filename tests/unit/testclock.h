/*
 * The library's clocks as a test moves them on, instead of sleeping: for programs that are linked
 * with --wrap=clock_ns (Makefile).
 */
#ifndef CGOHEAP_TESTS_TESTCLOCK_H
#define CGOHEAP_TESTS_TESTCLOCK_H

#include "base/clock.h"

static uint64_t testclock_ahead_ns;

uint64_t __real_clock_ns(clockid_t clock);
uint64_t __wrap_clock_ns(clockid_t clock);

uint64_t __wrap_clock_ns(clockid_t clock)
{
	return __real_clock_ns(clock) + LOAD(&testclock_ahead_ns);
}

/* A thread that already waits is not woken. */
static inline void testclock_advance(uint64_t ns)
{
	ADD(&testclock_ahead_ns, ns);
}

#endif
