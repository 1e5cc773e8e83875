/*
 * A thread for calls into the host's allocator: its statistics and its trim
 * take the allocator's locks, and whoever holds one may be stopped (by a
 * debugger, by a deadlock of the program's own) for as long as it likes.  The
 * server must answer all the same: it hands such a call to this thread and
 * waits for it no longer than it can afford.
 *
 * Nothing of ours is locked while the call is under way.  One that does not
 * return leaves the worker busy, and later ones are refused, until it does.
 */
#ifndef CGOHEAP_WORKER_H
#define CGOHEAP_WORKER_H

#include "base/base.h"

/* Makes the thread; once, beside the server's.  0, or an error number. */
int worker_start(void);

/*
 * Begins call(arg) on the worker; arg is the worker's while it is busy.  0, or -1: it is busy
 * with another, or was never started.  One caller at a time (the server).
 */
int worker_begin(void (*call)(void *arg), void *arg);

/*
 * The same, and waits for it.  0: it has returned.  -1: it has not within the time, or was not
 * begun.  The caller's control_tick is done meanwhile.  Within what the caller may wait (work.h).
 */
int worker_run(void (*call)(void *arg), void *arg, uint64_t timeout_ns);

/* A call is under way that was not waited for, or no longer. */
bool worker_is_busy(void);

/* In the child of fork: there is no worker. */
void worker_after_fork_in_child(void);

#endif
