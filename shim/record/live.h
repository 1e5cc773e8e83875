/*
 * The sampled blocks that are still allocated, by address.
 *
 * There are 64 shards, each with a lock, a share of the buckets and a free list, over one pool
 * of nodes. When the pool is full, a block is refused and counted as dropped, neither as
 * allocated nor as in use.
 *
 * A filter in front holds one byte per address hash. 0 means "certainly not sampled", which is
 * the only question free asks. If one block has that hash, the byte is a mark of 7 other bits of
 * its address; if several do, it has one bit for each of seven kinds of marks; 255 is permanent.
 * The filter has no false negatives: it is raised before malloc returns the address and lowered
 * after the record is gone. Addresses that pass are compared with the mark and then with the
 * records, without a lock (live_has). The filter also contains the addresses of the bootstrap
 * arena (real.h), so that they take the slow path too.
 */
#ifndef CGOHEAP_LIVE_H
#define CGOHEAP_LIVE_H

#include "base/base.h"

/*
 * At 100,000 live blocks, 9 % of frees of other blocks meet a byte that is not 0 and call
 * live_has; 0.2 % look at records. Its pages are touched as blocks are recorded, 1 MiB at most,
 * which CGOHEAP_MAX_MEMORY includes.
 */
#define LIVE_FILTER_BITS 20
extern uint8_t live_filter[1u << LIVE_FILTER_BITS] __attribute__((visibility("hidden")));

/*
 * Blocks that lie together have bytes that lie together: 16 bytes of memory are about one byte of
 * the filter, so that frees in one part of the heap find its lines in the cache (spread at random,
 * they made frees of half a KiB twice as slow). That is the first term. The second one spreads what
 * is further apart, blocks at the same place of two arenas for example, and marks it.
 */
#define LIVE_SPREAD (UINT64_C(1) << (64 - LIVE_FILTER_BITS - 4) | UINT64_C(0x4F1BBCDCB))

static inline uint64_t live_spread(uint64_t address)
{
	return address * LIVE_SPREAD;
}

static inline uint32_t live_hash(const void *p)
{
	return (uint32_t)(live_spread((uint64_t)p) >> (64 - LIVE_FILTER_BITS));
}

/*
 * The fast path's question: could this block be sampled? 6 instructions. A plain load is safe: a
 * byte does not tear, and everything that matters was stored before the host got p. gcc compares
 * a plain byte in memory, but not an atomic one.
 */
static inline bool live_maybe(const void *p)
{
	const uint8_t *byte = &live_filter[live_hash(p)];

	return IS_SANITIZED ? LOAD(byte) != 0 : *byte != 0;
}

/*
 * The same question by the mark, after live_maybe: false is certain. Any thread, signal handlers
 * too; valid before the region exists.
 */
bool live_filter_matches(const void *p);

/* Makes an address always take the slow path. Valid before the region exists. */
void live_filter_pin(const void *p);

struct live_block {
	uint64_t address;
	uint64_t size;     /* requested bytes */
	uint32_t site;     /* id, stacks.h */
	uint32_t interval; /* at which it was sampled */
	uint32_t tick;     /* when (live_tick_now), in units of LIVE_TICK_NS since the shim
			    * started */
};
#define LIVE_TICK_NS UINT64_C(100000000)

/* Records a block before its address is given to the host. 0: done. -1: no room. 1: a stale
 * record (its free was missed) was at that address; it was replaced and is returned in
 * *stale. */
int live_put(const struct live_block *block, struct live_block *stale);

/*
 * After live_maybe: is there a record at p? For a caller about to free or reallocate p, so that
 * the record cannot appear or disappear meanwhile. False is certain; true may mean that the
 * shard was being changed. Takes no lock and writes nothing; about 35 instructions. Any thread,
 * signal handlers too; valid before the region exists.
 */
bool live_has(const void *p);

/* Removes the record at p, before the block is really freed. False: not sampled. */
bool live_take(const void *p, struct live_block *out);

/*
 * The same without waiting: LIVE_IS_LOCKED if another thread is changing that part of the table.
 * Calls nothing, so that it needs no more of the stack than it has on entry: once it holds the
 * lock, it cannot meet the stack's end.
 */
enum live_taken { LIVE_NOT_THERE, LIVE_TAKEN, LIVE_IS_LOCKED };
enum live_taken live_try_take(const void *p, struct live_block *out);

/*
 * Removes the record at p but keeps its node, so that a failed realloc can put it back without
 * needing room. Returns 0 if p is not sampled; otherwise pass the result to exactly one of
 * live_restore and live_drop.
 */
uint32_t live_hold(const void *p, struct live_block *out);
void live_restore(uint32_t held);
void live_drop(uint32_t held);

uint64_t live_count(void);
uint64_t live_capacity(void); /* maximum number of blocks */

/* Calls visit for every block, a few buckets at a time under their shard's lock. visit must
 * not lock, allocate or call a hook, and should be short. A block that exists throughout is
 * visited once. */
void live_each(void (*visit)(const struct live_block *block, void *arg), void *arg);

uint32_t live_tick_now(void);

/* In the child of fork: reinitialises the locks. */
void live_after_fork_in_child(void);
/* Around a fork whose child keeps profiling (atfork.c): the locks are held in between. */
void live_before_fork(void);
void live_after_fork(void);

#endif
