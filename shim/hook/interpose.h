/*
 * Room hook: the functions that the host calls in place of libc's.  Called by the host; holds no
 * lock while it calls the real function.
 *
 * Whether malloc, calloc, realloc and free ask before they jump.
 *
 * While nothing is sampled they need not: the exported functions then jump
 * straight to the real ones, one instruction each.
 */
#ifndef CGOHEAP_INTERPOSE_H
#define CGOHEAP_INTERPOSE_H

#include "base/base.h"

/*
 * on: allocations are looked at from now on, and frees.  Off: allocations no
 * longer; frees not either once no sampled block is left, and it is settled, i.e.
 * no thread is still recording one.  True: there is nothing more to do; false:
 * ask again later.  Any thread.
 */
bool interpose_follow(bool on, bool settled);

/*
 * Before each thread that the host makes (init.c has it: what is above the hooks): by the
 * code that holds the address caller.  The first one starts the server's thread.  Go's own
 * code makes one first of all, so that a Go library is known, and the shim takes part,
 * before Go runs.  Any thread, on the host's stack, which dlopen needs more of; it may
 * hold the loader's lock.  errno untouched.
 */
void interpose_thread_created(uint64_t caller);

#endif
