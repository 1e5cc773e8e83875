/*
 * Time that no preload can stand in for: by the vDSO, found in its own table.
 * clock_gettime of the host may be another's (libfaketime's takes a lock and
 * allocates), and show another time.
 */
#ifndef CGOHEAP_CLOCK_H
#define CGOHEAP_CLOCK_H

#include <time.h>

#include "base/base.h"

/*
 * CLOCK_MONOTONIC as the kernel keeps it, some milliseconds old.  For hooks: no
 * system call, no instruction that a sandbox forbids (the finer clocks read the
 * processor's counter, which strict seccomp and PR_SET_TSC turn into a SIGSEGV),
 * async-signal-safe.  Without a vDSO, and before the first clock_ns: what clock_ns answered last,
 * or 0.
 */
uint64_t clock_coarse_ns(void);
#define CLOCK_COARSE_LAG_NS UINT64_C(10000000) /* at most: a tick of HZ=100 */

/* CLOCK_MONOTONIC, CLOCK_REALTIME: for own threads and the constructor. */
uint64_t clock_ns(clockid_t clock);

static inline uint64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

#endif
