/* The arena's cells: their kinds and sizes, reuse, and many threads at once. */
#include "child.h"

#include <pthread.h>
#include <string.h>

#include "region/cells.h"
#include "region/region.h"

static void *at(uint32_t id)
{
	return region_at((uint64_t)id * 8);
}

static void cells_are_zeroed_and_apart(void)
{
	uint32_t a, b;

	CHECK(region_init(8 * MIB) == 0);
	CHECK(cells_take(CELL_SITE, 0, CELLS_WHOLE) == 0);
	CHECK(cells_take(CELL_LABELS, CELLS_MOST_BYTES + 1, CELLS_WHOLE) == 0);
	a = cells_take(CELL_STACK, 200, CELLS_WHOLE);
	b = cells_take(CELL_STACK, 256, CELLS_WHOLE);
	CHECK(a && b && (a > b ? a - b : b - a) * 8 >= 256 && cells_used_bytes() == 512);
	memset(at(a), 7, 256);
	CHECK(*(uint64_t *)at(b) == 0);
	cells_give(a);
	CHECK(cells_used_bytes() == 256);
	CHECK(cells_take(CELL_STACK, 193, CELLS_WHOLE) == a);
	for (size_t i = 0; i < 256; i++)
		CHECK(((char *)at(a))[i] == 0);
}
CASE(cells_are_zeroed_and_apart)

static void an_id_is_only_what_its_slab_says(void)
{
	uint32_t stack, site;

	CHECK(region_init(8 * MIB) == 0);
	stack = cells_take(CELL_STACK, 200, CELLS_WHOLE);
	site = cells_take(CELL_SITE, 64, CELLS_WHOLE);
	CHECK(cells_is(stack, CELL_STACK, 256) && !cells_is(stack, CELL_STACK, 257));
	CHECK(!cells_is(stack, CELL_SITE, 8) && !cells_is(site, CELL_STACK, 8));
	CHECK(cells_is(site, CELL_SITE, 64) && !cells_is(site + 1, CELL_SITE, 8));
	CHECK(!cells_is(0, CELL_SITE, 1) && !cells_is(UINT32_MAX, CELL_SITE, 1));
	CHECK(!cells_is((uint32_t)(region->arena.offset / 8), CELL_STACK, 1)); /* a slab's head */
	cells_give(UINT32_MAX);
	cells_give(0);
}
CASE(an_id_is_only_what_its_slab_says)

static uint32_t fill_with(enum cell_kind kind, size_t bytes, uint32_t *ids, uint32_t most,
			  enum cells_need need)
{
	uint32_t n = 0;

	while (n < most && (ids[n] = cells_take(kind, bytes, need)))
		n++;
	return n;
}

static uint32_t ids[1 << 20];

static void the_reserve_is_for_those_who_ask(void)
{
	uint64_t refused, total;
	uint32_t n, more;

	CHECK(region_init(32 * MIB) == 0);
	total = cells_total_bytes();
	n = fill_with(CELL_SITE, 64, ids, COUNT_OF(ids), CELLS_WHOLE);
	CHECK(n * 64ull > total / 16 * 14 && n * 64ull <= total / 16 * 15 + CELLS_SLAB_BYTES);
	refused = cells_refused();
	CHECK(refused == 1);
	more = fill_with(CELL_SITE, 64, ids + n, COUNT_OF(ids) - n, CELLS_LAST);
	CHECK((n + more) * 64ull > total / 64 * 63 && cells_used_bytes() <= total);
}
CASE(the_reserve_is_for_those_who_ask)

/* Slabs that were full of one kind become available to another. */
static void empty_slabs_are_for_any_kind(void)
{
	uint32_t sites, stacks, kept;

	CHECK(region_init(8 * MIB) == 0);
	for (int round = 0; round < 3; round++) {
		sites = fill_with(CELL_SITE, 64, ids, COUNT_OF(ids), CELLS_WHOLE);
		CHECK(sites > 1000 && cells_take(CELL_STACK, 1000, CELLS_WHOLE) == 0);
		for (uint32_t i = 1; i < sites; i++)
			cells_give(ids[i]);
		kept = ids[0];
		memset(at(kept), 9, 64);
		cells_gather();
		stacks = fill_with(CELL_STACK, 1000, ids, COUNT_OF(ids), CELLS_WHOLE);
		CHECK(stacks * 1024ull > sites * 64ull / 10 * 8);
		CHECK(cells_is(kept, CELL_SITE, 64) && *(char *)at(kept) == 9);
		for (uint32_t i = 0; i < stacks; i++) {
			CHECK(ids[i] != kept);
			cells_give(ids[i]);
		}
		cells_give(kept);
		cells_gather();
		CHECK(cells_used_bytes() == 0);
	}
}
CASE(empty_slabs_are_for_any_kind)

/* ---- many threads -------------------------------------------------------- */

#define THREADS 3
#define HELD    50
#define ROUNDS  40000

static bool over;

/* Each cell holds its owner while it is allocated, to show that no two threads share one. */
static void *take_and_give(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg + 1, r = me;
	struct {
		uint32_t id;
		size_t bytes;
	} held[HELD] = {{0, 0}};

	for (int n = 0; n < ROUNDS; n++) {
		r = r * UINT64_C(6364136223846793005) + 1;
		size_t i = (r >> 33) % HELD, bytes = 64 * (1 + (r >> 50) % 8);
		if (held[i].id) {
			uint64_t *p = at(held[i].id);
			for (size_t k = 1; k < held[i].bytes / 8; k++)
				CHECK(p[k] == me);
			cells_give(held[i].id);
			held[i].id = 0;
		} else if ((held[i].id = cells_take(CELL_STACK, bytes, CELLS_WHOLE))) {
			uint64_t *p = at(held[i].id);
			held[i].bytes = bytes;
			for (size_t k = 1; k < bytes / 8; k++) {
				CHECK(p[k] == 0);
				p[k] = me;
			}
		}
	}
	for (size_t i = 0; i < HELD; i++)
		if (held[i].id)
			cells_give(held[i].id);
	return NULL;
}

static void *gather(void *arg)
{
	(void)arg;
	while (!LOAD(&over))
		cells_gather();
	return NULL;
}

static void no_cell_is_ever_two_threads(void)
{
	pthread_t threads[THREADS], gatherer;

	CHECK(region_init(4 * MIB) == 0);
	CHECK(!pthread_create(&gatherer, NULL, gather, NULL));
	for (uintptr_t t = 0; t < THREADS; t++)
		CHECK(!pthread_create(&threads[t], NULL, take_and_give, (void *)t));
	for (int t = 0; t < THREADS; t++)
		CHECK(!pthread_join(threads[t], NULL));
	STORE(&over, true);
	CHECK(!pthread_join(gatherer, NULL));
	CHECK(cells_used_bytes() == 0);
	cells_gather();
	CHECK(fill_with(CELL_SITE, 64, ids, COUNT_OF(ids), CELLS_WHOLE) * 64ull >
	      cells_total_bytes() / 8 * 7);
}
CASE(no_cell_is_ever_two_threads)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells_are_zeroed_and_apart),
		cmocka_unit_test(test_an_id_is_only_what_its_slab_says),
		cmocka_unit_test(test_the_reserve_is_for_those_who_ask),
		cmocka_unit_test(test_empty_slabs_are_for_any_kind),
		cmocka_unit_test(test_no_cell_is_ever_two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
