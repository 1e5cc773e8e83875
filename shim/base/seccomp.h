/*
 * Whether a seccomp filter judges our system calls.
 *
 * A filter may kill the process for a call, and cannot be asked.  /proc can: it
 * says whether there is one.  Under one, calls that usual filters do not allow are
 * never made (sys_rare, syscalls.h), and what they were for is answered "not
 * available here: seccomp".
 *
 * A sandbox is often entered after the start, by one thread or by all.  So the
 * thread that is about to work looks again before it (seccomp_look): at itself, and
 * at the process's first thread, which is the one that programs lock in.  It makes
 * openat, read and close for it, which it needs for nearly everything else too.
 */
#ifndef CGOHEAP_SECCOMP_H
#define CGOHEAP_SECCOMP_H

#include "base/base.h"

enum seccomp_mode {
	SECCOMP_IS_UNKNOWN, /* not looked yet, or no /proc: as careful as under a filter */
	SECCOMP_IS_NONE,
	SECCOMP_IS_FILTER,
	SECCOMP_IS_STRICT, /* mode 1; of another thread: ours could not have asked */
	SECCOMP_MODES
};

extern uint8_t seccomp_seen __attribute__((visibility("hidden"))); /* the last look's answer */

/* Async-signal-safe; no system call. */
static inline bool seccomp_allows_rare(void)
{
	return LOAD(&seccomp_seen) == SECCOMP_IS_NONE;
}

/* Looks again.  Own threads and the constructor only; errno untouched. */
enum seccomp_mode seccomp_look(void);

/* "none", "filter", "strict" or "unknown", of the last look. */
const char *seccomp_mode_name(void);

/* The mode in the text of a status file. */
enum seccomp_mode seccomp_mode_in(const char *text, size_t bytes);

#endif
