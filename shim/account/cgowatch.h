/*
 * Who is in C code while memory grows that no hook sees.
 *
 * Code that maps by the system call instruction (Rust's rustix, so wasmtime) tells us
 * nothing, and its stack cannot be had from another thread without a signal.  But the
 * goroutine that called it has its Go frames where they can be read (gocalls.h), and the
 * kernel counts each thread's page faults.  So the server's thread looks at the process's
 * anonymous memory from time to time, and when that has grown by 4 MiB it looks some
 * times in a row who is in a cgo call, and whether that thread has touched new memory
 * since the last look.  The untracked part of the account then has candidates.
 *
 * While sampling is on.  Whether memory has grown is one small file of /proc, 20 times a
 * second in the first ten seconds and while it grows, else once; who is there takes at
 * most a quarter of a percent of a processor.
 */
#ifndef CGOHEAP_CGOWATCH_H
#define CGOHEAP_CGOWATCH_H

#include "go/gocalls.h"

struct cgowatch_candidate {
	struct gocall call;
	uint32_t looks;  /* at which it was in its cgo call, on a thread that had faulted */
	uint64_t faults; /* of those threads, since the looks before */
};

#define CGOWATCH_CANDIDATES 32

/* Server's loop.  Nanoseconds until it wants to be called again. */
uint64_t cgowatch_tick(void);

/* Server thread: most faults first.  How many; *looks: in all. */
size_t cgowatch_read(struct cgowatch_candidate out[CGOWATCH_CANDIDATES], uint32_t *looks);

#endif
