/*
 * Where glibc does not say without a lock what is loaded (loaded.h), has the worker look again
 * within a second of a sign that something was: it may wait for the loader, the server may not.
 */
#ifndef CGOHEAP_LOADEDWATCH_H
#define CGOHEAP_LOADEDWATCH_H

#include "base/base.h"

/* Server thread; nanoseconds until the next call. */
uint64_t loadedwatch_tick(void);

#endif
