/*
 * Children of fork that do not exec.
 *
 * By default the shim is passive in them: other threads are gone, perhaps in the
 * middle of one of our locks, and the server with them.  With
 * CGOHEAP_FOLLOW_FORK=1 the child goes on: it keeps the parent's records (its
 * memory is the parent's, too), samples, and answers on a socket of its own.
 */
#ifndef CGOHEAP_FORKS_H
#define CGOHEAP_FORKS_H

#include "config.h"

/* Once, in the constructor of a process that the shim takes part in; config stays. */
void forks_init(const struct config *config);

#endif
