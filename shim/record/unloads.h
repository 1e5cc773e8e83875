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

#include "base/base.h"

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

/*
 * Places that no stack asks about any more make room for others; the server's thread
 * only.  Between begin and end each stack there is keeps what its frames need.
 */
bool unloads_are_many(void); /* three quarters of what can be told apart */
void unloads_forget_begin(void);
void unloads_keep(uint32_t stamp, const uint64_t *pcs, size_t count);
void unloads_forget_end(void);

/* Around a fork whose child goes on (atfork.c): the lock is held in between. */
void unloads_before_fork(void);
void unloads_after_fork(void);

#endif
