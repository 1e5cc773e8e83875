/*
 * What the sampled blocks show about the C allocator's memory: how much is in use, how certain
 * that is, and how much of it is resident. Private to account*.c.
 */
#ifndef CGOHEAP_ACCOUNT_LIVE_H
#define CGOHEAP_ACCOUNT_LIVE_H

#include "base/sort.h"
#include "account/account.h"

struct account_live {
	/* Over all blocks. */
	double bytes, variance;
	double rounded_bytes; /* as glibc rounds each */
	/* The kept blocks (all, or a representative subset if there are too many), ascending. */
	struct sort_item *items; /* key: address, value: place in blocks */
	struct account_block *blocks;
	size_t count, room;
	bool was_cut;        /* not all blocks were read: no sum is known */
	uint64_t keep_below; /* a block is kept if the hash of its address is below */
	/* Blocks in the allocator's pools, weighted; valid after account_live_measure. */
	double pool_bytes, pool_resident;
	double all_bytes, all_resident; /* including those with their own mappings */
};

/* Copies the blocks. -1: scratch is exhausted, and nothing is known. */
int account_live_read(struct scratch *scratch, struct account_live *live);
/* Measures how much of them is resident, by the allocator's parts that contain them. */
void account_live_measure(struct account_live *live, const struct account_parts *parts);

#endif
