/*
 * Whether a seccomp filter applies to our system calls.
 *
 * A filter may kill the process for a call and cannot be queried, but /proc says whether
 * one exists.  Under a filter the shim never makes the calls that common filters forbid
 * (sys_rare, syscalls.h); features that need them report "not available here: seccomp".
 *
 * Programs often enter a sandbox after startup, in one thread or in all.  So a thread
 * that is about to work checks again first (seccomp_look): itself and the process's main
 * thread, the one that programs usually lock in.  The check makes openat, read and
 * close, which nearly all other work needs as well.
 */
#ifndef CGOHEAP_SECCOMP_H
#define CGOHEAP_SECCOMP_H

#include "base/base.h"

enum seccomp_mode {
	SECCOMP_IS_UNKNOWN, /* not checked yet, or no /proc: treated as a filter */
	SECCOMP_IS_NONE,
	SECCOMP_IS_FILTER,
	SECCOMP_IS_STRICT, /* mode 1, of another thread: this one could not have read /proc */
	SECCOMP_MODES
};

extern uint8_t seccomp_seen __attribute__((visibility("hidden"))); /* the last result */

/* Async-signal-safe; no system call. */
static inline bool seccomp_allows_rare(void)
{
	return LOAD(&seccomp_seen) == SECCOMP_IS_NONE;
}

/* Checks again.  Only on the shim's threads and in the constructor; errno untouched. */
enum seccomp_mode seccomp_look(void);

/* The last result: "none", "filter", "strict" or "unknown". */
const char *seccomp_mode_name(void);

/* The mode given in the text of a /proc status file. */
enum seccomp_mode seccomp_mode_in(const char *text, size_t bytes);

#endif
