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

#include "base.h"

/* Makes the thread; once, beside the server's.  0, or an error number. */
int worker_start(void);

/*
 * Runs call(arg) on the worker.  0: it has returned.  -1: it has not within the
 * time, and arg is the worker's until it does; or the worker is still busy or was
 * never started, and call is not made.  One caller at a time (the server), whose control_tick
 * is done meanwhile.
 */
int worker_run(void (*call)(void *arg), void *arg, uint64_t timeout_ns);

/* A call is under way whose caller has given up. */
bool worker_is_busy(void);

/* In the child of fork: there is no worker. */
void worker_after_fork_in_child(void);

#endif
