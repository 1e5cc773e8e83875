/* The table of live blocks compared with an exact model, and its filter. */
#include "child.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "region/region.h"
#include "record/live.h"
#include "record/sample.h"

static struct live_block block_at(uint64_t address, uint64_t size)
{
	return (struct live_block){
		.address = address, .size = size, .site = 7, .interval = 1, .tick = 9};
}

static int put(uint64_t address, uint64_t size)
{
	struct live_block stale, b = block_at(address, size);
	return live_put(&b, &stale);
}

/* Addresses that share one filter byte: inverts the multiplier of the hash. */
static uint64_t colliding(uint32_t hash, uint64_t i)
{
	uint64_t inverse = 1, k = LIVE_SPREAD;
	for (int round = 0; round < 6; round++)
		inverse *= 2 - k * inverse;
	return (((uint64_t)hash << (64 - LIVE_FILTER_BITS)) + i) * inverse;
}

static void takes_what_was_put(void)
{
	struct live_block out;

	CHECK(region_init(8 * MIB) == 0);
	CHECK(!live_take((void *)0x1000, &out) && !live_maybe((void *)0x1000));
	CHECK(put(0x1000, 24) == 0 && put(0x2000, 48) == 0);
	CHECK(live_maybe((void *)0x1000) && live_maybe((void *)0x2000) && live_count() == 2);
	CHECK(live_has((void *)0x1000) && live_has((void *)0x2000) && !live_has((void *)0x3000));
	CHECK(live_take((void *)0x1000, &out));
	CHECK(out.address == 0x1000 && out.size == 24 && out.site == 7 && out.interval == 1 &&
	      out.tick == 9);
	CHECK(!live_maybe((void *)0x1000) && live_maybe((void *)0x2000));
	CHECK(!live_take((void *)0x1000, &out));
	CHECK(live_take((void *)0x2000, &out) && live_count() == 0);
}
CASE(takes_what_was_put)

static void a_locked_table_is_not_waited_for(void)
{
	struct live_block out;

	CHECK(region_init(8 * MIB) == 0);
	CHECK(put(0x1000, 24) == 0);
	CHECK(live_try_take((void *)0x2000, &out) == LIVE_NOT_THERE);
	live_before_fork();
	CHECK(live_try_take((void *)0x1000, &out) == LIVE_IS_LOCKED);
	CHECK(live_try_take((void *)0x2000, &out) == LIVE_IS_LOCKED);
	live_after_fork();
	CHECK(live_has((void *)0x1000) && live_count() == 1);
	CHECK(live_try_take((void *)0x1000, &out) == LIVE_TAKEN && out.size == 24);
	CHECK(live_try_take((void *)0x1000, &out) == LIVE_NOT_THERE && live_count() == 0);
	CHECK(!live_maybe((void *)0x1000));
}
CASE(a_locked_table_is_not_waited_for)

static void a_missed_free_is_replaced(void)
{
	struct live_block stale, fresh = block_at(0x1000, 99), out;

	CHECK(region_init(8 * MIB) == 0);
	CHECK(put(0x1000, 24) == 0);
	CHECK(live_put(&fresh, &stale) == 1 && stale.size == 24 && live_count() == 1);
	CHECK(live_take((void *)0x1000, &out) && out.size == 99);
	CHECK(!live_maybe((void *)0x1000) && live_count() == 0);
}
CASE(a_missed_free_is_replaced)

static void what_is_held_can_be_put_back(void)
{
	struct live_block out;
	uint32_t held;
	uint64_t n = 0;

	CHECK(region_init(4 * MIB) == 0);
	CHECK(live_hold((void *)0x10, &out) == 0);
	while (put(0x10 + 16 * n, n) == 0)
		n++;
	held = live_hold((void *)0x10, &out);
	CHECK(held && out.size == 0 && out.tick == 9 && live_count() == n - 1);
	CHECK(put(0x8, 1) == -1); /* its room is unchanged */
	live_restore(held);
	CHECK(live_count() == n && live_maybe((void *)0x10));
	held = live_hold((void *)0x10, &out);
	CHECK(held && out.size == 0);
	live_drop(held);
	CHECK(live_count() == n - 1 && put(0x8, 1) == 0);
	CHECK(!live_take((void *)0x10, &out));
}
CASE(what_is_held_can_be_put_back)

static void a_full_pool_refuses_and_recovers(void)
{
	struct live_block out;
	uint64_t total, n = 0;

	CHECK(region_init(4 * MIB) == 0);
	total = region->live_nodes.bytes / 32;
	while (put(0x10 + 16 * n, n) == 0)
		n++;
	CHECK(n == total && live_count() == total);
	/* Room freed in one shard can be reused in any other. */
	for (uint64_t i = 0; i < 1000; i++)
		CHECK(live_take((void *)(0x10 + 16 * i), &out) && out.size == i);
	for (uint64_t i = 0; i < 1000; i++)
		CHECK(put(colliding(5, i), i) == 0);
	CHECK(put(0x8, 0) == -1 && !live_maybe((void *)0x8));
	CHECK(live_count() == total);
	for (uint64_t i = 1000; i < n; i++)
		CHECK(live_take((void *)(0x10 + 16 * i), &out) && out.size == i);
}
CASE(a_full_pool_refuses_and_recovers)

/* ---- the filter --------------------------------------------------------- */

/* Addresses with one filter byte and different marks, as far as there are any. */
static void *marked(uint32_t hash, uint64_t i)
{
	return (void *)colliding(hash, (i % 128) << (64 - LIVE_FILTER_BITS - 7) | i / 128);
}

/* A block in the table always passes, whatever others come and go; the last one clears the byte. */
static void the_filter_has_whoever_is_there(void)
{
	struct live_block out;

	CHECK(region_init(8 * MIB) == 0);
	for (uint64_t i = 0; i < 100; i++) {
		void *a = marked(77, i), *b = marked(77, i + 1 + i % 7);
		CHECK(put((uint64_t)a, 1) == 0 && live_filter_matches(a));
		CHECK(put((uint64_t)b, 2) == 0);
		CHECK(live_filter_matches(a) && live_filter_matches(b));
		CHECK(live_take(i % 2 ? a : b, &out));
		CHECK(live_filter_matches(i % 2 ? b : a) && live_has(i % 2 ? b : a));
		CHECK(live_take(i % 2 ? b : a, &out) && live_filter[77] == 0);
	}
	for (uint64_t i = 0; i < 254; i++)
		CHECK(put(colliding(77, i), i) == 0);
	for (uint64_t i = 0; i < 254; i++)
		CHECK(live_maybe((void *)colliding(77, i)) && live_has((void *)colliding(77, i)) &&
		      live_take((void *)colliding(77, i), &out) && out.size == i);
	CHECK(live_filter[77] == 0);
}
CASE(the_filter_has_whoever_is_there)

/* Addresses like an allocator's, across 8 GiB. */
static uint64_t somewhere(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return UINT64_C(0x7f0000000000) + (*state >> 31) / 16 * 16;
}

/* Of 100,000 other addresses: how many make live_has look at records. */
static uint32_t false_matches(void)
{
	uint64_t state = 3;
	uint32_t matches = 0;

	for (int i = 0; i < 1000000; i++)
		matches += live_filter_matches((void *)(somewhere(&state) + 8));
	return matches / 10;
}

static void fill_to(uint64_t count, uint64_t *state)
{
	while (live_count() < count)
		CHECK(put(somewhere(state), 1) >= 0);
}

/* Whatever an allocator's strides are: no two of 4,000 blocks share a byte, and few a bucket. */
static void blocks_at_any_distance_spread(void)
{
	static uint8_t seen[1u << LIVE_FILTER_BITS];

	for (int shift = 4; shift < 36; shift++) {
		uint64_t at = UINT64_C(0x7f0000000010);
		uint32_t shared = 0;
		memset(seen, 0, sizeof(seen));
		for (int i = 0; i < 4000; i++, at += UINT64_C(1) << shift)
			shared += seen[live_hash((void *)at)]++ != 0;
		CHECK(shared == 0);
	}
}
CASE(blocks_at_any_distance_spread)

/* Neighbours are in one line of the cache, or in two. */
static void neighbours_are_neighbours_in_the_filter(void)
{
	for (uint64_t at = UINT64_C(0x7f0012340010); at < UINT64_C(0x7f0012400000); at += 64) {
		uint32_t here = live_hash((void *)at), next = live_hash((void *)(at + 512));
		CHECK((next - here) % (1u << LIVE_FILTER_BITS) <= 34);
	}
}
CASE(neighbours_are_neighbours_in_the_filter)

static void few_others_look_at_records(void)
{
	uint64_t state = 1;

	CHECK(region_init(32 * MIB) == 0);
	fill_to(100000, &state);
	CHECK(false_matches() > 10 && false_matches() < 300);
	fill_to(live_capacity() / 3 * 2, &state);
	CHECK(false_matches() < 1000);
	fill_to(live_capacity(), &state);
	CHECK(false_matches() < 2000);
}
CASE(few_others_look_at_records)

static void the_filter_sticks_at_its_limit(void)
{
	struct live_block out;

	CHECK(region_init(8 * MIB) == 0);
	for (uint64_t i = 0; i < 300; i++)
		CHECK(put((uint64_t)marked(78, i), i) == 0);
	CHECK(live_filter[78] == 255 && live_filter[77] == 0 && live_filter[79] == 0);
	for (uint64_t i = 0; i < 300; i++)
		CHECK(live_has(marked(78, i)) && live_take(marked(78, i), &out) && out.size == i);
	CHECK(live_filter[78] == 255 && live_count() == 0);
	/* The filter answers "maybe" forever, and the table still answers correctly. */
	CHECK(!live_take((void *)colliding(78, 3), &out));
	CHECK(put(colliding(78, 3), 5) == 0 && live_take((void *)colliding(78, 3), &out));
}
CASE(the_filter_sticks_at_its_limit)

static void a_pinned_address_is_never_let_through(void)
{
	struct live_block out;

	live_filter_pin((void *)0x1000); /* before the region exists */
	CHECK(live_maybe((void *)0x1000) && !live_has((void *)0x1000));
	CHECK(region_init(8 * MIB) == 0);
	CHECK(put(0x1000, 1) == 0 && live_take((void *)0x1000, &out));
	CHECK(live_maybe((void *)0x1000) && !live_take((void *)0x1000, &out));
}
CASE(a_pinned_address_is_never_let_through)

/* A hit that belongs to another block is recognised without the lock. */
static void a_neighbour_in_the_filter_is_told_apart(void)
{
	struct live_block out;

	CHECK(region_init(8 * MIB) == 0);
	for (uint64_t i = 0; i < 20; i++)
		CHECK(put(colliding(79, 2 * i), i) == 0);
	for (uint64_t i = 0; i < 20; i++) {
		CHECK(live_has((void *)colliding(79, 2 * i)));
		CHECK(live_maybe((void *)colliding(79, 2 * i + 1)));
		CHECK(!live_has((void *)colliding(79, 2 * i + 1)));
	}
	CHECK(live_take((void *)colliding(79, 0), &out) && !live_has((void *)colliding(79, 0)));
}
CASE(a_neighbour_in_the_filter_is_told_apart)

static bool had_in_the_middle;

static void ask_in_the_middle(const struct live_block *b, void *arg)
{
	(void)b, (void)arg;
	/* The lock is held, so an answer shows that the lock is not taken. */
	had_in_the_middle = live_has((void *)0x1000) && !live_has((void *)0x1008);
}

static void no_lock_is_taken_to_see_what_is_there(void)
{
	CHECK(region_init(8 * MIB) == 0);
	CHECK(put(0x1000, 1) == 0);
	live_each(ask_in_the_middle, NULL);
	CHECK(had_in_the_middle);
}
CASE(no_lock_is_taken_to_see_what_is_there)

/* ---- one chain, changed all the time --------------------------------------- */

#define CHURNERS 2
#define MOVES    300000

static bool churned;

/* Moves nodes from one chain to another in the same shard, and back. */
static void *move_nodes(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg;
	struct live_block out;

	for (uint64_t n = 0; n < MOVES; n++) {
		uint64_t a = colliding(77 + 64 * (n % 2), 1000 * (me + 1) + n % 7);
		CHECK(put(a, n) == 0 && live_has((void *)a));
		CHECK(live_take((void *)a, &out) && out.size == n);
	}
	STORE(&churned, true);
	return NULL;
}

/* A reader of a changing chain may be led astray, and must notice it. */
static void a_record_is_found_while_its_chain_changes(void)
{
	pthread_t threads[CHURNERS];

	CHECK(region_init(8 * MIB) == 0);
	for (uint64_t i = 0; i < 10; i++)
		CHECK(put(colliding(77, i), i) == 0);
	for (uintptr_t t = 0; t < CHURNERS; t++)
		CHECK(!pthread_create(&threads[t], NULL, move_nodes, (void *)t));
	while (!LOAD(&churned))
		for (uint64_t i = 0; i < 10; i++)
			CHECK(live_has((void *)colliding(77, i)));
	for (int t = 0; t < CHURNERS; t++)
		CHECK(!pthread_join(threads[t], NULL));
}
CASE(a_record_is_found_while_its_chain_changes)

/* ---- many threads -------------------------------------------------------- */

#define THREADS   4
#define ADDRESSES 2000
#define ROUNDS    100000

struct worker {
	uint64_t base;
	uint64_t sizes[ADDRESSES]; /* 0: not in the table */
};
static struct worker workers[THREADS];

static void step(struct worker *w, uint64_t r)
{
	uint64_t i = r % ADDRESSES, address = w->base + 16 * i;
	struct live_block out;
	uint32_t held;

	if (!w->sizes[i]) {
		CHECK(put(address, r) == 0);
		w->sizes[i] = r;
		CHECK(live_maybe((void *)address));
		return;
	}
	/* No false negative, whatever the other threads do. */
	CHECK(live_maybe((void *)address) && live_has((void *)address));
	if (r >> 40 & 1) {
		CHECK(live_take((void *)address, &out) && out.size == w->sizes[i]);
		w->sizes[i] = 0;
	} else {
		held = live_hold((void *)address, &out);
		CHECK(held && out.size == w->sizes[i]);
		live_restore(held);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t x = w->base | 1;

	for (int n = 0; n < ROUNDS; n++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		step(w, x);
	}
	return NULL;
}

static uint64_t visited, visited_wrong;
static void visit(const struct live_block *b, void *arg)
{
	(void)arg;
	for (int t = 0; t < THREADS; t++)
		if (b->address - workers[t].base < 16 * ADDRESSES) {
			visited++;
			visited_wrong +=
				workers[t].sizes[(b->address - workers[t].base) / 16] != b->size;
			return;
		}
	visited_wrong++;
}

static void count_one(const struct live_block *b, void *arg)
{
	*(uint64_t *)arg += b->address != 0;
}

static void agrees_with_a_model_under_threads(void)
{
	pthread_t threads[THREADS];
	uint64_t expected = 0;

	CHECK(region_init(8 * MIB) == 0);
	for (uint64_t t = 0; t < THREADS; t++) {
		workers[t].base = 0x7f0000000000 + t * 0x1000000;
		CHECK(!pthread_create(&threads[t], NULL, work, &workers[t]));
	}
	for (int n = 0; n < 20; n++) { /* a reader meanwhile */
		uint64_t count = 0;
		live_each(count_one, &count);
		CHECK(count <= THREADS * ADDRESSES);
	}
	for (int t = 0; t < THREADS; t++) {
		CHECK(!pthread_join(threads[t], NULL));
		for (int i = 0; i < ADDRESSES; i++)
			expected += workers[t].sizes[i] != 0;
	}
	CHECK(live_count() == expected && expected > 0);
	live_each(visit, NULL);
	CHECK(visited == expected && visited_wrong == 0);
	for (int t = 0; t < THREADS; t++)
		for (uint64_t i = 0; i < ADDRESSES; i++) {
			struct live_block out;
			CHECK(live_take((void *)(workers[t].base + 16 * i), &out) ==
			      (workers[t].sizes[i] != 0));
		}
	CHECK(live_count() == 0);
	for (size_t i = 0; i < sizeof(live_filter); i++)
		CHECK(live_filter[i] == 0);
}
CASE(agrees_with_a_model_under_threads)

/* ---- the rest ------------------------------------------------------------ */

static void leave_locked(const struct live_block *b, void *arg)
{
	(void)b, (void)arg;
	live_after_fork_in_child();
	struct live_block out;
	CHECK(live_take((void *)0x1000, &out));
	_exit(0);
}

/* visit runs under the lock, like a child of a fork at that moment. */
static void locks_are_new_in_a_forked_child(void)
{
	CHECK(region_init(8 * MIB) == 0);
	CHECK(put(0x1000, 1) == 0);
	live_each(leave_locked, NULL);
	CHECK(!"visited");
}
CASE(locks_are_new_in_a_forked_child)

static void ticks_count_from_the_start(void)
{
	CHECK(region_init(8 * MIB) == 0);
	CHECK(live_tick_now() == 0);
	region_layout.start_monotonic_ns =
		clock_monotonic_ns() - 35 * LIVE_TICK_NS - LIVE_TICK_NS / 2;
	CHECK(live_tick_now() == 35 || live_tick_now() == 36);
}
CASE(ticks_count_from_the_start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_what_was_put),
		cmocka_unit_test(test_a_locked_table_is_not_waited_for),
		cmocka_unit_test(test_a_missed_free_is_replaced),
		cmocka_unit_test(test_what_is_held_can_be_put_back),
		cmocka_unit_test(test_a_full_pool_refuses_and_recovers),
		cmocka_unit_test(test_the_filter_has_whoever_is_there),
		cmocka_unit_test(test_blocks_at_any_distance_spread),
		cmocka_unit_test(test_neighbours_are_neighbours_in_the_filter),
		cmocka_unit_test(test_few_others_look_at_records),
		cmocka_unit_test(test_the_filter_sticks_at_its_limit),
		cmocka_unit_test(test_a_pinned_address_is_never_let_through),
		cmocka_unit_test(test_a_neighbour_in_the_filter_is_told_apart),
		cmocka_unit_test(test_no_lock_is_taken_to_see_what_is_there),
		cmocka_unit_test(test_a_record_is_found_while_its_chain_changes),
		cmocka_unit_test(test_agrees_with_a_model_under_threads),
		cmocka_unit_test(test_locks_are_new_in_a_forked_child),
		cmocka_unit_test(test_ticks_count_from_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
