/*
 * The sampled blocks that are still allocated, by address.
 *
 * 64 shards, each a lock, a share of the buckets and a free list over one pool
 * of nodes.  A full pool refuses (the block is then counted as dropped, neither
 * as allocated nor as in use).
 *
 * In front of it stands a filter of one byte per address hash.  0 answers "certainly
 * not sampled": the one question free asks.  Else it is, where one block has that hash, a
 * mark of 7 other bits of its address, and where several have, a bit for each of
 * seven kinds of marks; 255 stays.  It has no false negatives: it is raised before
 * malloc returns the address and lowered after the record is gone.  What it lets
 * through is compared with the mark, and then with the records themselves, without a
 * lock (live_has).  It also has the addresses of the bootstrap arena (real.h), so that
 * those take the slow path too.
 */
#ifndef CGOHEAP_LIVE_H
#define CGOHEAP_LIVE_H

#include "base/base.h"

/*
 * At 100,000 live blocks nine frees in a hundred of others meet a byte that is not
 * 0; those ask live_has, and two in a thousand look at records.  Pages of it are touched as blocks
 * are recorded, 1 MiB at most, which CGOHEAP_MAX_MEMORY includes.
 */
#define LIVE_FILTER_BITS 20
extern uint8_t live_filter[1u << LIVE_FILTER_BITS] __attribute__((visibility("hidden")));

static inline uint32_t live_hash(const void *p)
{
	return (uint32_t)(((uint64_t)p * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - LIVE_FILTER_BITS));
}

/*
 * The fast path's question: could this block be sampled?  6 instructions.  A plain
 * load: a byte does not tear, what matters about it was stored before the host
 * had p, and gcc compares it in memory, which it does not do for an atomic one.
 */
static inline bool live_maybe(const void *p)
{
	return live_filter[live_hash(p)] != 0;
}

/*
 * The same by the mark, after live_maybe: false is certain.  Any thread, signal
 * handlers too; before the region as well.
 */
bool live_filter_matches(const void *p);

/* Pin the filter for an address that is never to take the fast path.  Before the region too. */
void live_filter_pin(const void *p);

struct live_block {
	uint64_t address;
	uint64_t size;     /* bytes asked for */
	uint32_t site;     /* id, stacks.h */
	uint32_t interval; /* it was sampled at */
	uint32_t tick;     /* when (live_tick_now): LIVE_TICK_NS units since the shim started */
};
#define LIVE_TICK_NS UINT64_C(100000000)

/* Records a block before its address is given to the host.  -1: no room.
 * A record already at that address is stale (its free was missed): it is
 * replaced, returned in *stale and 1 is the result.  0: done. */
int live_put(const struct live_block *block, struct live_block *stale);

/*
 * After live_maybe: is there a record at p?  For who is to free or reallocate p, so
 * that this record is neither made nor taken out meanwhile.  False is certain; true
 * may be that the shard was being changed.  Takes no lock and writes nothing; some 35
 * instructions.  Any thread, signal handlers too; before the region as well.
 */
bool live_has(const void *p);

/* Takes the record at p out, before the block is really freed.  False: not sampled. */
bool live_take(const void *p, struct live_block *out);

/*
 * Takes the record at p out but keeps its node, so that a realloc that fails can
 * put it back without needing room.  0: not sampled; else what to hand to
 * exactly one of live_restore and live_drop.
 */
uint32_t live_hold(const void *p, struct live_block *out);
void live_restore(uint32_t held);
void live_drop(uint32_t held);

uint64_t live_count(void);
uint64_t live_capacity(void); /* how many there is room for */

/* Calls visit for every block, a few buckets at a time under their shard's lock: visit
 * must not lock, allocate or call a hook, and should be short.  A block that is there
 * all the while is visited once. */
void live_each(void (*visit)(const struct live_block *block, void *arg), void *arg);

uint32_t live_tick_now(void);

/* In the child of fork: locks as if new. */
void live_after_fork_in_child(void);
/* Around a fork whose child goes on (atfork.c): the locks are held in between. */
void live_before_fork(void);
void live_after_fork(void);

#endif
