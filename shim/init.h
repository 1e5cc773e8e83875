/*
 * Go that comes into a process which has none at the start.
 */
#ifndef CGOHEAP_INIT_H
#define CGOHEAP_INIT_H

#include "base.h"

/*
 * A thread is about to be made by the code that holds this address.  Go's own code
 * does that first of all, so that a Go library is known, and the shim takes part,
 * before Go runs.  Any thread, on its own stack, which dlopen needs more of; it may
 * hold the loader's lock.  errno untouched.
 */
void init_look(uint64_t caller);

#endif
