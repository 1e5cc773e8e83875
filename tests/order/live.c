/*
 * live.c: a record that is there is found without the lock, whatever happens to its neighbours in
 * the chain. A removed node goes into another chain, where a reader that stands on it is led.
 *
 * with shim/record/live.h s/LIVE_FILTER_BITS 20/LIVE_FILTER_BITS 7/
 * with shim/record/live_table.h s/SHARD_BITS 6/SHARD_BITS 1/
 * break shim/record/live.c /^LEAF void node_push/,/^}/s/STORE_REL(/STORE(/
 * break shim/record/live.c /id = LOAD_ACQ(bucket_of/s/LOAD_ACQ(&nodes/LOAD(\&nodes/
 * break shim/record/live.c /^LEAF bool take_and/,/^}/s/STORE(&s->changes, s->changes + 1)/(void)0/
 * break shim/record/live.c s/return before & 1 || .*;/return before \& 1;/
 */
#include "model.h"

#define CGOHEAP_SAMPLE_H /* of sample.h, live.c needs this */
static inline uint8_t sample_enter(void)
{
	return 0;
}
static inline void sample_leave(uint8_t before)
{
	(void)before;
}

#include "record/live.c"

/* Two buckets in each of two shards, and three nodes. */
static struct {
	struct region_header header;
	uint32_t buckets[4];
	struct node nodes[3];
} memory;
struct region_header *region = &memory.header;
struct region_header region_layout = {
	.live_buckets = {.offset = offsetof(__typeof__(memory), buckets),
			 .bytes = sizeof(memory.buckets)},
	.live_nodes = {.offset = offsetof(__typeof__(memory), nodes),
		       .bytes = sizeof(memory.nodes)}};

uint64_t clock_coarse_ns(void)
{
	return 0;
}

/* The first two are in one bucket, the third in the shard's other one. */
static uint64_t kept, removed, added;

/* An address of this shard and bucket whose filter byte has no other one's. */
static uint64_t address_in(uint64_t from, size_t bucket)
{
	while (bucket_of(live_spread(from)) != &memory.buckets[bucket])
		from += 16;
	return from;
}

static void put(uint64_t address)
{
	struct live_block stale, block = {.address = address, .site = 1};

	live_put(&block, &stale);
}

static void *changes(void *unused)
{
	struct live_block out;

	live_take((const void *)removed, &out);
	put(added);
	return unused;
}

static void *looks(void *unused)
{
	assert(live_has((const void *)kept));
	return unused;
}

int main(void)
{
	kept = address_in(0x1000, 0);
	removed = address_in(kept + 16, 0);
	added = address_in(0x1000, 1);
	put(kept);
	put(removed);
	model_run(2, changes, looks);
	return 0;
}
