/*
 * Room life: how the library begins, and what becomes of it in a child.  The constructor, and the
 * thread that forks, with every lock held in between.
 *
 * Children of fork that do not exec.
 *
 * By default the shim is passive in them: other threads are gone, perhaps in the
 * middle of one of our locks, and the server with them.  With
 * CGOHEAP_FOLLOW_FORK=1 the child goes on: it keeps the parent's records (its
 * memory is the parent's, too), samples, and answers on a socket of its own.
 */
#ifndef CGOHEAP_ATFORK_H
#define CGOHEAP_ATFORK_H

#include "config/config.h"

/* Once, in the constructor of a process that the shim takes part in; config stays. */
void atfork_init(const struct config *config);

#endif
