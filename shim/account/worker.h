/*
 * A thread for calls into the host's allocator. Its statistics and trim take the allocator's
 * locks, and a thread that holds one may be stopped indefinitely (by a debugger, or by a
 * deadlock in the program). The server must still answer, so it hands such a call to this thread
 * and waits for it only for a limited time.
 *
 * None of our locks is held during the call. A call that does not return leaves the worker busy,
 * and later calls are refused until it returns.
 */
#ifndef CGOHEAP_WORKER_H
#define CGOHEAP_WORKER_H

#include "base/base.h"

/* Creates the thread; once, together with the server's. Returns 0 or an error number. */
int worker_start(void);

/*
 * Starts call(arg) on the worker, which owns arg while it is busy. Returns 0, or -1: it is busy
 * with another call, or was never started. One caller at a time (the server).
 */
int worker_begin(void (*call)(void *arg), void *arg);

/*
 * The same, and waits for it. 0: it has returned. -1: it has not returned in time, or was not
 * started. Runs control_tick for the caller meanwhile. Waits no longer than the caller may
 * (work.h).
 */
int worker_run(void (*call)(void *arg), void *arg, uint64_t timeout_ns);

/* A call is running that the server did not wait for, or stopped waiting for. */
bool worker_is_busy(void);

/* In the child of fork: there is no worker. */
void worker_after_fork_in_child(void);

#endif
