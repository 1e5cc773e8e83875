/*
 * What the sampled blocks say of the C allocator's memory: how much is in use,
 * how sure that is, and how much of it is resident.  Private to account*.c.
 */
#ifndef CGOHEAP_ACCOUNT_LIVE_H
#define CGOHEAP_ACCOUNT_LIVE_H

#include "base/sort.h"
#include "account/account.h"

struct account_live {
	/* Of all blocks. */
	double bytes, variance;
	double rounded_bytes; /* as glibc rounds each */
	/* Those that are kept (all, or a fair share where they are too many), ascending. */
	struct sort_item *items; /* key: address, value: place in blocks */
	struct account_block *blocks;
	size_t count, room;
	bool was_cut;        /* not all blocks were looked at: no sum is known */
	uint64_t keep_below; /* of an address's hash: it is kept */
	/* Of blocks in the allocator's pools, weighted; after account_live_measure. */
	double pool_bytes, pool_resident;
	double all_bytes, all_resident; /* those with mappings of their own too */
};

/* Copies the blocks.  False: scratch is exhausted, and nothing is known. */
bool account_live_read(struct scratch *scratch, struct account_live *live);
/* Asks what of them is resident, where they lie in the allocator's parts. */
void account_live_measure(struct account_live *live, const struct account_parts *parts);

#endif
