/*
 * Code that was unloaded: where it was, and in what order.
 *
 * A stack is a list of addresses, and another library may be at an address by the time it is
 * read. So each stack carries a stamp: the number of the latest unloading when it was captured.
 * A frame whose code was unloaded later is shown as unknown, never under the name of what is
 * there now.
 *
 * Only libraries unloaded by dlclose in the program's own namespace are seen, not those that the
 * C library closes itself (iconv's converters, NSS).
 */
#ifndef CGOHEAP_UNLOADS_H
#define CGOHEAP_UNLOADS_H

#include "base/base.h"

/* Calls dlclose and compares the loaded libraries before and after. Leaves errno as close did. */
int unloads_watch(int (*close)(void *handle), void *handle);

/*
 * The stamp for a stack captured now: the latest unloading that concerns any of its places. So a
 * stack whose places never saw an unloading stays the same stack, whatever is unloaded
 * elsewhere. No lock; 0 if nothing was unloaded.
 */
uint32_t unloads_stamp(const uint64_t *pcs, size_t count);

/* How many libraries were unloaded. */
uint32_t unloads_count(void);

/* The latest unloading that concerns this return address; 0: none. */
uint32_t unloads_latest_at(uint64_t pc);

/* Whether the code at this return address was unloaded after the stamp was taken. */
static inline bool unloads_since(uint32_t stamp, uint64_t pc)
{
	return unloads_latest_at(pc) > stamp;
}

/* Marks a place as unloaded: other code may use it. For unloads_watch, and for tests. */
void unloads_add(uint64_t start, uint64_t end);

/*
 * Removes places that no stack asks about, to make room; the server's thread only. Between begin
 * and end, each stack keeps what its frames need.
 */
bool unloads_are_many(void); /* more than three quarters of the table is used */
void unloads_forget_begin(void);
void unloads_keep(uint32_t stamp, const uint64_t *pcs, size_t count);
void unloads_forget_end(void);

/* Around a fork whose child keeps profiling (atfork.c): the lock is held in between. */
void unloads_before_fork(void);
void unloads_after_fork(void);

#endif
