/*
 * Time from the vDSO's functions, found through its symbol table.  The host's
 * clock_gettime may come from a preload: libfaketime's takes a lock, allocates and
 * returns a different time.
 */
#ifndef CGOHEAP_CLOCK_H
#define CGOHEAP_CLOCK_H

#include <time.h>

#include "base/base.h"

/*
 * CLOCK_MONOTONIC as of the kernel's last tick, some milliseconds old.  For hooks:
 * async-signal-safe, makes no system call and uses no instruction that a sandbox
 * forbids (the finer clocks read the processor's counter, which raises SIGSEGV under
 * strict seccomp and PR_SET_TSC).  Without a vDSO, and before the first clock_ns, it
 * returns clock_ns's last answer, or 0.
 */
uint64_t clock_coarse_ns(void);
#define CLOCK_COARSE_LAG_NS UINT64_C(10000000) /* at most: a tick of HZ=100 */

/* CLOCK_MONOTONIC or CLOCK_REALTIME.  Only for the shim's threads and the constructor. */
uint64_t clock_ns(clockid_t clock);

static inline uint64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

#endif
