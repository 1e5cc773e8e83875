/*
 * Code that was unloaded: where it lay, and in what order.
 *
 * A stack is addresses, and what lies at an address may be another library by
 * the time somebody asks.  So each stack carries a stamp: how far the order had
 * come when it was captured.  A frame whose place was unloaded since is known no
 * more, and is shown as that, never under the name of what stands there now.
 *
 * Seen are unloadings by dlclose, of libraries in the program's own namespace.
 * What the C library closes by itself (iconv's converters, NSS) is not.
 */
#ifndef CGOHEAP_UNLOADS_H
#define CGOHEAP_UNLOADS_H

#include "base.h"

/* dlclose, with a look before and after at what is loaded.  Keeps errno as close left it. */
int unloads_watch(int (*close)(void *handle), void *handle);

/*
 * The stamp of a stack captured now: the latest unloading that any of its
 * places has seen, so that a stack which nothing was ever unloaded under is the
 * same stack whatever goes on elsewhere.  No lock; 0 where nothing was unloaded.
 */
uint32_t unloads_stamp(const uint64_t *pcs, size_t count);

/* Whether what lay at this return address when the stamp was taken was unloaded since. */
bool unloads_since(uint32_t stamp, uint64_t pc);

/* A place is free for other code from now on.  For unloads_watch, and for tests. */
void unloads_add(uint64_t start, uint64_t end);

/* Around a fork whose child goes on (forks.c): the lock is held in between. */
void unloads_before_fork(void);
void unloads_after_fork(void);

#endif
