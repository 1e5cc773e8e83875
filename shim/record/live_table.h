/*
 * Where the records of live blocks are: shards, their buckets, and one pool of nodes. For live.c
 * alone, whose functions are compiled into one each (live_try_take).
 */
#ifndef CGOHEAP_LIVE_TABLE_H
#define CGOHEAP_LIVE_TABLE_H

#include <assert.h>

#include "base/lock.h"
#include "region/region.h"
#include "record/live.h"
#include "record/live_filter.h"

#define SHARD_BITS 6
#define SHARDS     (1u << SHARD_BITS)

struct node {
	uint64_t address;
	uint64_t size;
	uint32_t site, interval, tick;
	uint32_t next; /* 1 + index of the next in the bucket or the free list */
};
static_assert(sizeof(struct node) == 32, "region layout");

static struct shard {
	struct lock lock;
	uint32_t free; /* nodes used before, 1 + index */
	uint64_t count;
	uint32_t changes; /* odd: a change is in progress */
} __attribute__((aligned(64))) shards[SHARDS];

static uint32_t nodes_used; /* taken from the pool's low end */

/* All that follows from an address; computed once for each call. */
LEAF uint64_t hash_of(const void *p)
{
	return live_spread((uint64_t)p);
}

LEAF struct shard *shard_of(uint64_t hash)
{
	return &shards[hash >> (64 - SHARD_BITS)];
}

/* The same for the same filter byte (filter_counted); neighbours are in neighbouring ones. */
LEAF uint32_t *bucket_of(uint64_t hash)
{
	uint64_t of_shard = region_layout.live_buckets.bytes / sizeof(uint32_t) / SHARDS;
	uint64_t n = hash >> (64 - LIVE_FILTER_BITS) & (of_shard - 1);

	return (uint32_t *)region_at(region_layout.live_buckets.offset) +
	       (hash >> (64 - SHARD_BITS)) * of_shard + n;
}

LEAF struct node *node_at(uint32_t id)
{
	return (struct node *)region_at(region_layout.live_nodes.offset) + (id - 1);
}

/*
 * A wild pointer of the host can overwrite links. An invalid link ends its list; a list longer
 * than the number of nodes in its shard is a ring.
 */
LEAF bool node_is_valid(uint32_t id)
{
	return id - 1 < LOAD(&nodes_used);
}

/* The pool as it is now, for a walk that would otherwise ask at each step. */
struct pool {
	struct node *nodes; /* the first has id 1 */
	uint32_t used;
};

LEAF struct pool pool_now(void)
{
	return (struct pool){node_at(1), LOAD(&nodes_used)};
}

#endif
