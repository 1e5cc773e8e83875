/*
 * Where libc calls the start routine of a thread: the root of its stack.
 *
 * glibc's unwind tables say that it is one. musl has none, so each thread notes where its routine
 * will return to before it runs anything else.
 *
 * All functions: any thread, lock-free, async-signal-safe.
 */
#ifndef CGOHEAP_THREADROOTS_H
#define CGOHEAP_THREADROOTS_H

#include "base/base.h"

/* At the start of a thread. ip: the return address of its first function. */
void threadroots_note(uint64_t ip);

bool threadroots_has(uint64_t ip);

#endif
