/*
 * The goroutines that are in C code now, and their Go frames.
 *
 * Such a goroutine has entered a system call, as the runtime sees it: g.syscallsp and
 * g.syscallpc say where in runtime.cgocall it stands (runtime/proc.go, reentersyscall),
 * and its stack does not move before it is back.  Where in g they lie is not assumed:
 * they are the words of which one points into g's stack and the next into
 * runtime.cgocall.  What is read is copied while the program goes on, and checked.
 *
 * Needs runtime.allgs: a binary with symbols.  No signal, no call into Go, nothing
 * stopped.
 */
#ifndef CGOHEAP_GOCALLS_H
#define CGOHEAP_GOCALLS_H

#include "base/base.h"
#include "region/region.h"

#define GOCALLS_FRAMES 16

struct gocall {
	uint64_t frames[GOCALLS_FRAMES]; /* return addresses, innermost first, from the one that
					    called runtime.cgocall on */
	uint32_t count;                  /* at least 1 */
	uint32_t thread;                 /* tid that it is on; 0: not known */
};

/* How many, at most room; of very many goroutines the first 65,536 are looked at.  Server
 * thread. */
size_t gocalls_now(struct scratch *scratch, struct gocall *out, size_t room);

#endif
