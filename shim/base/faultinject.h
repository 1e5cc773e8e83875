/*
 * System calls that fail on command: a build of its own (make FAULTS=1), for
 * tests/programs/faults.  The released library has nothing of this.
 *
 * SHIM_FAULTS=NAME:N   the N-th call of that name fails
 * SHIM_FAULTS=NAME:N+  and so do all after it
 *
 * NAME is a system call that the shim makes (faultinject.c has them), `thread` (its
 * own threads cannot start), `pthread` (any other function of libpthread that it
 * calls) or `all`, which counts every one of these.  SHIM_FAULTS_LOG names a
 * file that gets one byte for every call that failed.
 */
#ifndef CGOHEAP_FAULTINJECT_H
#define CGOHEAP_FAULTINJECT_H

/* In place of arch_syscall6, arguments and result alike. */
long faultinject_syscall6(long n, long a, long b, long c, long d, long e, long f);

#endif
