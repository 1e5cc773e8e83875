/*
 * Room hook: the functions that the host calls in place of libc's. Called by the host; holds no
 * lock while it calls the real function.
 *
 * Switches malloc, calloc, realloc and free between the hooks and the real functions. While
 * nothing is sampled, the exported functions jump straight to the real ones, one instruction
 * each.
 */
#ifndef CGOHEAP_INTERPOSE_H
#define CGOHEAP_INTERPOSE_H

#include "base/base.h"

/*
 * on: allocations and frees go through the hooks from now on. Off: allocations no longer do;
 * frees do until no sampled block is left and it is settled, i.e. no thread is still recording
 * one. True: done; false: call again later. Any thread.
 */
bool interpose_follow(bool on, bool settled);

/*
 * Called before each thread that the host creates, with the address of the creating code (init.c
 * defines it, because it uses rooms above hook). The first one starts the server's thread. In a
 * Go library, Go's code creates that thread, so the shim knows the library and takes part before
 * Go code runs. Any thread, on the host's stack, because dlopen needs more than ours has; the
 * caller may hold the loader's lock. errno untouched.
 */
void interpose_thread_created(uint64_t caller);

/*
 * The host has loaded something, and may wait for the loader: reads what is loaded again, where
 * that is for us to do (loaded.h). What is Go's is then as if it had created a thread. errno
 * untouched. init.c defines it.
 */
void interpose_loaded(void);

#endif
