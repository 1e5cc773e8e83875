/*
 * Finds goroutines in C code while memory grows that no hook sees.
 *
 * Code that maps by the system call instruction (Rust's rustix, so wasmtime) passes no hook, and
 * its stack cannot be read from another thread without a signal. But the Go frames of the
 * goroutine that called it can be read (gocalls.h), and the kernel counts each thread's page
 * faults. So the server's thread checks the process's anonymous memory from time to time. When
 * it has grown by 4 MiB, the thread checks several times in a row which goroutines are in a cgo
 * call, and whether their threads have touched new memory since the last look. These are the
 * candidates for the untracked part of the account.
 *
 * Only while sampling is on. Checking for growth reads one small file of /proc, 20 times a
 * second in the first ten seconds and while memory grows, otherwise once a second. Finding the
 * goroutines takes at most a quarter of a percent of a processor.
 */
#ifndef CGOHEAP_CGOWATCH_H
#define CGOHEAP_CGOWATCH_H

#include "go/gocalls.h"

struct cgowatch_candidate {
	struct gocall call;
	uint32_t looks;  /* in which it was in its cgo call, on a thread that had faulted */
	uint64_t faults; /* of those threads, since the previous look */
};

#define CGOWATCH_CANDIDATES 32

/* Server's loop. Returns the nanoseconds until the next call. */
uint64_t cgowatch_tick(void);

/* Server thread. Most faults first. Returns the count; *looks: the total. */
size_t cgowatch_read(struct cgowatch_candidate out[CGOWATCH_CANDIDATES], uint32_t *looks);

#endif
