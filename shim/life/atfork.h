/*
 * Room life: how the library starts, and what it does in a forked child. The constructor, and
 * the thread that forks, with every lock held in between.
 *
 * Children of fork that do not exec.
 *
 * By default the shim is passive in them: other threads are gone, possibly in the middle of
 * holding one of our locks, and the server with them. With CGOHEAP_FOLLOW_FORK=1 the child keeps
 * profiling: it keeps the parent's records (its memory is a copy of the parent's), samples, and
 * answers on its own socket.
 */
#ifndef CGOHEAP_ATFORK_H
#define CGOHEAP_ATFORK_H

#include "config/config.h"

/* Call once, in the constructor of a process in which the shim is active; config must stay
 * valid. */
void atfork_init(const struct config *config);

#endif
