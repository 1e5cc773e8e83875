/*
 * System calls that fail on command.  Only in the build for tests/programs/faults
 * (make FAULTS=1); the released library contains none of this.
 *
 * SHIM_FAULTS=NAME:N   the N-th call of that name fails
 * SHIM_FAULTS=NAME:N+  the N-th and all later calls fail
 *
 * NAME is a system call that the shim makes (listed in faultinject.c), `thread`
 * (creating the shim's threads), `pthread` (any other libpthread function that the
 * shim calls) or `all`, which counts all of these.  SHIM_FAULTS_LOG names a file
 * that receives one byte for every failed call.  SHIM_FAULTS_ERROR=N: calls fail with
 * this error, as where a kernel lacks them (ENOSYS), and not with one from the list.
 *
 * SHIM_LACKS=NAME: no library has a function of that name, so it is not found.
 */
#ifndef CGOHEAP_FAULTINJECT_H
#define CGOHEAP_FAULTINJECT_H

#include "base/libc.h"

/* Replaces arch_syscall6: same arguments, same result. */
long faultinject_syscall6(long n, long a, long b, long c, long d, long e, long f);

/* Whether a look-up of that name is to find nothing. */
bool faultinject_is_missing(const char *name);

/* Puts its own functions into the table, in front of those that have been found. */
void faultinject_libc(struct libc *into);

#endif
