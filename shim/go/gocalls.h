/*
 * The goroutines that are in C code now, and their Go frames.
 *
 * To the runtime such a goroutine is in a system call: g.syscallsp and g.syscallpc are its
 * position in runtime.cgocall (runtime/proc.go, reentersyscall), and its stack does not
 * move until it returns.  Their offsets in g are not assumed: they are the two adjacent
 * words of which the first points into g's stack and the second into runtime.cgocall.
 * The memory is copied while the program runs, and checked.
 *
 * Needs runtime.allgs, so a binary with symbols.  No signals, no calls into Go; nothing is
 * stopped.
 */
#ifndef CGOHEAP_GOCALLS_H
#define CGOHEAP_GOCALLS_H

#include "base/base.h"
#include "region/region.h"

#define GOCALLS_FRAMES 16

struct gocall {
	uint64_t frames[GOCALLS_FRAMES]; /* return addresses, innermost first, starting with the
					    caller of runtime.cgocall */
	uint32_t count;                  /* at least 1 */
	uint32_t thread;                 /* tid it runs on; 0: unknown */
};

/* Returns how many were found, at most room.  Examines only the first 65,536 goroutines.  Server
 * thread. */
size_t gocalls_now(struct scratch *scratch, struct gocall *out, size_t room);

#endif
