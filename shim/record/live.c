/*
 * Sampled live blocks: chained hashing in 64 shards.
 *
 * The top bits of one hash serve three purposes: 6 select the shard, 20 the filter byte, and as
 * many as needed of these the bucket. So a shard owns a run of buckets and a run of filter bytes,
 * under one lock. The filter needs no atomic read-modify-write, only stores that free may read
 * unlocked.
 *
 * Chains are read unlocked too (live_has). A removed node may be reused in another chain while a
 * reader is on it, which would lead the reader into that chain. So each shard counts its
 * changes, before and after each one, and a reader that sees the count change draws no
 * conclusion. All stores of a change are releasing, all loads of a reader acquiring.
 */
#include "record/live.h"

#include "base/clock.h"
#include "record/live_table.h"
#include "record/sample.h"

#define VISIT_BUCKETS 16 /* per hold of the lock */

uint8_t live_filter[1u << LIVE_FILTER_BITS] __attribute__((visibility("hidden"), aligned(4096)));

/* ---- changing a shard's chains ------------------------------------------ */

LEAF void change_begin(struct shard *s)
{
	lock_take(&s->lock);
	STORE(&s->changes, s->changes + 1);
}

LEAF void change_end(struct shard *s)
{
	STORE_REL(&s->changes, s->changes + 1);
	lock_release(&s->lock);
}

/* ---- the filter: under the shard's lock -------------------------------- */

/* Computes the byte from the remaining blocks, which are all in one bucket. Rare. */
LEAF uint8_t filter_counted(uint64_t hash)
{
	uint64_t left = shard_of(hash)->count;
	uint8_t byte = 0;

	for (uint32_t id = *bucket_of(hash); node_is_valid(id) && left-- > 0;
	     id = node_at(id)->next) {
		uint64_t other = live_spread(node_at(id)->address);
		if (filter_of(other) == filter_of(hash))
			byte = with_mark(byte, mark_of(other));
	}
	return byte;
}

/* A stuck byte may belong to a pinned address, so it is never lowered. */
LEAF void filter_lower(uint64_t hash)
{
	uint8_t *f = filter_of(hash);
	if (*f != FILTER_STUCK)
		STORE(f, *f <= FILTER_ONE ? 0 : filter_counted(hash));
}

bool live_filter_matches(const void *p)
{
	return filter_has(hash_of(p));
}

void live_filter_pin(const void *p)
{
	struct shard *s = shard_of(hash_of(p));
	uint8_t before = sample_enter();

	lock_take(&s->lock);
	STORE(filter_of(hash_of(p)), FILTER_STUCK);
	lock_release(&s->lock);
	sample_leave(before);
}

/* ---- nodes -------------------------------------------------------------- */

/* Under s's lock. */
LEAF uint32_t node_pop(struct shard *s)
{
	uint32_t id = s->free;
	if (!node_is_valid(id))
		id = 0;
	STORE(&s->free, id ? node_at(id)->next : 0);
	return id;
}

LEAF void node_push(struct shard *s, uint32_t id)
{
	STORE_REL(&node_at(id)->next, s->free);
	STORE(&s->free, id);
}

static uint32_t node_fresh(void)
{
	uint32_t total = (uint32_t)live_capacity();
	uint32_t used = LOAD(&nodes_used);

	do {
		if (used >= total)
			return 0;
	} while (!__atomic_compare_exchange_n(&nodes_used, &used, used + 1, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return used + 1;
}

/* The pool is used up, but another shard may have free nodes. Call without a lock. */
static uint32_t node_from_others(void)
{
	for (size_t i = 0; i < SHARDS; i++) {
		uint32_t id;
		if (!LOAD(&shards[i].free))
			continue;
		lock_take(&shards[i].lock);
		id = node_pop(&shards[i]);
		lock_release(&shards[i].lock);
		if (id)
			return id;
	}
	return 0;
}

/* ---- records ------------------------------------------------------------ */

LEAF struct live_block block_of(const struct node *n)
{
	return (struct live_block){.address = n->address,
				   .size = n->size,
				   .site = n->site,
				   .interval = n->interval,
				   .tick = n->tick};
}

/* The link that points at the block's node, or at the end of its bucket. Under the lock. */
LEAF uint32_t *link_to(struct pool pool, const struct shard *s, uint64_t hash, uint64_t address)
{
	uint64_t left = s->count;
	uint32_t *link = bucket_of(hash), id;

	while ((id = *link) - 1 < pool.used && left-- > 0) {
		struct node *n = &pool.nodes[id - 1];
		if (n->address == address)
			return link;
		link = &n->next;
	}
	if (id)
		STORE_REL(link, 0);
	return link;
}

LEAF void node_write(struct node *n, const struct live_block *block)
{
	STORE_REL(&n->address, block->address);
	n->size = block->size;
	n->site = block->site;
	n->interval = block->interval;
	n->tick = block->tick;
}

/* Links a node whose address is already set. Under the lock. */
LEAF void node_link(struct shard *s, uint64_t hash, uint32_t id)
{
	uint32_t *bucket = bucket_of(hash);

	STORE_REL(&node_at(id)->next, *bucket);
	STORE_REL(bucket, id);
	STORE(&s->count, s->count + 1);
	filter_raise(hash);
}

/* No other thread records this address meanwhile: the host does not have it yet. */
static __attribute__((noinline)) int put_from_others(struct shard *s, uint64_t hash,
						     const struct live_block *block)
{
	uint32_t id = node_from_others();

	if (!id)
		return -1;
	node_write(node_at(id), block);
	change_begin(s);
	node_link(s, hash, id);
	change_end(s);
	return 0;
}

/* live_put in all its cases, under the lock, which it releases. */
static __attribute__((noinline)) int put_anyhow(struct shard *s, uint64_t hash,
						const struct live_block *block,
						struct live_block *stale)
{
	struct pool pool = pool_now();

	STORE(&s->changes, s->changes + 1);
	/* If no record has this filter byte, none has this address. */
	uint32_t id = *filter_of(hash) ? *link_to(pool, s, hash, block->address) : 0;
	if (unlikely(id)) {
		*stale = block_of(&pool.nodes[id - 1]);
		node_write(&pool.nodes[id - 1], block);
		change_end(s);
		return 1;
	}
	id = node_pop(s);
	if (unlikely(!id))
		id = node_fresh();
	if (likely(id)) {
		node_write(node_at(id), block);
		node_link(s, hash, id);
	}
	change_end(s);
	return likely(id) ? 0 : put_from_others(s, hash, block);
}

static __attribute__((noinline)) int put_after_waiting(const struct live_block *block,
						       struct live_block *stale)
{
	uint64_t hash = live_spread(block->address);
	struct shard *s = shard_of(hash);

	lock_wait(&s->lock);
	return put_anyhow(s, hash, block, stale);
}

static __attribute__((noinline)) int put_and_wake(struct lock *l)
{
	lock_wake(l);
	return 0;
}

/* What is rare is a function that does the rest, so that what is common saves no registers. */
int live_put(const struct live_block *block, struct live_block *stale)
{
	uint64_t hash = live_spread(block->address);
	struct shard *s = shard_of(hash);

	if (unlikely(lock_try(&s->lock)))
		return put_after_waiting(block, stale);
	struct pool pool = pool_now();
	uint32_t id = s->free, *bucket = bucket_of(hash);
	if (unlikely(*filter_of(hash) || id - 1 >= pool.used))
		return put_anyhow(s, hash, block, stale);
	struct node *n = &pool.nodes[id - 1];
	uint32_t changes = s->changes + 1;
	STORE(&s->changes, changes);
	STORE(&s->free, n->next);
	node_write(n, block);
	STORE_REL(&n->next, *bucket);
	STORE_REL(bucket, id);
	STORE(&s->count, s->count + 1);
	STORE(filter_of(hash), mark_of(hash));
	STORE_REL(&s->changes, changes + 1);
	return likely(!lock_unlock(&s->lock)) ? 0 : put_and_wake(&s->lock);
}

/* Under the lock. */
LEAF uint32_t node_unlink(struct shard *s, uint64_t hash, const void *p, struct live_block *out)
{
	struct pool pool = pool_now();
	uint32_t *link = link_to(pool, s, hash, (uint64_t)p);
	uint32_t id = *link;

	if (likely(id)) {
		const struct node *n = &pool.nodes[id - 1];
		STORE_REL(link, n->next);
		*out = block_of(n);
		STORE(&s->count, s->count - 1);
		filter_lower(hash);
	}
	return id;
}

/* Under the lock, which it releases. */
LEAF bool take_and_release(struct shard *s, uint64_t hash, const void *p, struct live_block *out)
{
	STORE(&s->changes, s->changes + 1);
	uint32_t id = node_unlink(s, hash, p, out);
	if (id)
		node_push(s, id);
	change_end(s);
	return id;
}

bool live_take(const void *p, struct live_block *out)
{
	uint64_t hash = hash_of(p);
	struct shard *s = shard_of(hash);

	lock_take(&s->lock);
	return take_and_release(s, hash, p, out);
}

enum live_taken live_try_take(const void *p, struct live_block *out)
{
	uint64_t hash = hash_of(p);
	struct shard *s = shard_of(hash);

	if (unlikely(lock_try(&s->lock)))
		return LIVE_IS_LOCKED;
	return take_and_release(s, hash, p, out) ? LIVE_TAKEN : LIVE_NOT_THERE;
}

uint32_t live_hold(const void *p, struct live_block *out)
{
	uint64_t hash = hash_of(p);
	struct shard *s = shard_of(hash);

	change_begin(s);
	uint32_t id = node_unlink(s, hash, p, out);
	change_end(s);
	return id;
}

void live_restore(uint32_t held)
{
	uint64_t hash = live_spread(node_at(held)->address);
	struct shard *s = shard_of(hash);

	change_begin(s);
	node_link(s, hash, held);
	change_end(s);
}

void live_drop(uint32_t held)
{
	struct shard *s = shard_of(live_spread(node_at(held)->address));

	change_begin(s);
	node_push(s, held);
	change_end(s);
}

/* ---- readers ------------------------------------------------------------ */

/* A longer chain means that the table was overwritten or the reader went astray. */
#define MAX_PROBE 64

bool live_has(const void *p)
{
	uint64_t hash = hash_of(p);
	const struct shard *s = shard_of(hash);
	uint32_t id;
	int left = MAX_PROBE;

	if (likely(!filter_has(hash)) || unlikely(!LOAD_ACQ(&region)))
		return false;
	const struct node *nodes = node_at(1);
	uint32_t used = LOAD(&nodes_used);
	uint32_t before = LOAD_ACQ(&s->changes);
	for (id = LOAD_ACQ(bucket_of(hash)); id; id = LOAD_ACQ(&nodes[id - 1].next))
		if (id > used || LOAD_ACQ(&nodes[id - 1].address) == (uint64_t)p || !left--)
			return true;
	return before & 1 || LOAD(&s->changes) != before;
}

uint64_t live_count(void)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < SHARDS; i++)
		sum += LOAD(&shards[i].count);
	return sum;
}

uint64_t live_capacity(void)
{
	return region_layout.live_nodes.bytes / sizeof(struct node);
}

static void visit_bucket(const uint32_t *bucket, uint64_t most,
			 void (*visit)(const struct live_block *block, void *arg), void *arg)
{
	for (uint32_t id = *bucket; node_is_valid(id) && most > 0; id = node_at(id)->next, most--) {
		struct live_block block = block_of(node_at(id));
		visit(&block, arg);
	}
}

void live_each(void (*visit)(const struct live_block *block, void *arg), void *arg)
{
	uint32_t *buckets = region_at(region_layout.live_buckets.offset);
	size_t count = region_layout.live_buckets.bytes / sizeof(uint32_t);

	for (size_t b = 0; b < count; b += VISIT_BUCKETS) {
		struct shard *s = &shards[b / (count / SHARDS)];
		uint8_t before = sample_enter();

		lock_take(&s->lock);
		for (size_t i = b; i < b + VISIT_BUCKETS; i++)
			visit_bucket(&buckets[i], s->count, visit, arg);
		lock_release(&s->lock);
		sample_leave(before);
	}
}

uint32_t live_tick_now(void)
{
	uint64_t now = clock_coarse_ns() + CLOCK_COARSE_LAG_NS;

	if (unlikely(now < region_layout.start_monotonic_ns)) /* the clock does not work */
		return 0;
	return (uint32_t)((now - region_layout.start_monotonic_ns) / LIVE_TICK_NS);
}

void live_after_fork_in_child(void)
{
	for (size_t i = 0; i < SHARDS; i++)
		shards[i] = (struct shard){.free = shards[i].free, .count = shards[i].count};
}

void live_before_fork(void)
{
	for (size_t i = 0; i < SHARDS; i++)
		lock_take(&shards[i].lock);
}

void live_after_fork(void)
{
	for (size_t i = 0; i < SHARDS; i++)
		lock_release(&shards[i].lock);
}
