/* Who frees: which frees count for how many, what is kept of whom, and what goes with its site. */
#include "child.h"

#include <math.h>
#include <pthread.h>

#include "base/pagemap.h"
#include "region/cells.h"
#include "region/region.h"
#include "record/freer.h"
#include "record/frees.h"
#include "record/parts.h"
#include "record/pins.h"
#include "record/stacks.h"
#include "record/stacks_reclaim.h"

static void begin(size_t bytes)
{
	CHECK(region_init(bytes) == 0 && stacks_init() == 0);
}

static struct capture stack_of(uint64_t seed, uint32_t frames, uint32_t end)
{
	struct capture c = {.count = frames, .end = end};

	for (uint32_t i = 0; i < frames; i++)
		c.frames[i] = 0x1000 + 16 * (i + seed * 1000);
	return c;
}

static struct weight whole(uint64_t objects, uint64_t bytes)
{
	return (struct weight){objects << WEIGHT_OBJECT_BITS, bytes << WEIGHT_BYTE_BITS};
}

/* A site with one block in use. */
static uint32_t site_of(uint64_t seed)
{
	struct capture c = stack_of(seed, 5, CAPTURE_COMPLETE_THREAD);
	uint32_t site = stacks_site(&c, 100, ORIGIN_MALLOC);

	CHECK(site);
	site_add_alloc(site_at(site), whole(1, 100));
	return site;
}

static void add(uint32_t site, uint64_t freer, uint64_t bytes, uint32_t end)
{
	struct capture c = stack_of(freer, 4, end);
	uint32_t pin = pins_enter();

	frees_add(site, whole(1, bytes), 1, &c);
	pins_leave(pin);
}

static void by_c(uint32_t site, uint64_t freer, uint64_t bytes)
{
	add(site, freer, bytes, CAPTURE_COMPLETE_THREAD);
}

static uint64_t bytes_of(uint64_t fx)
{
	return fx >> WEIGHT_BYTE_BITS;
}

/* ---- which frees ----------------------------------------------------------- */

static void the_first_count_for_themselves(void)
{
	begin(8 * MIB);
	for (uint64_t seed = 0; seed < FREES_SPARE / FREES_FIRST; seed++) {
		struct site *site = site_at(site_of(seed));
		for (int i = 0; i < FREES_FIRST; i++)
			CHECK(frees_count_for(site) == 1);
	}
}
CASE(the_first_count_for_themselves)

#define FREES 200000

/* Of FREES frees in a pattern of `period`, only those at `at` are looked at. */
static double estimate(struct site *site, uint32_t period, uint32_t at)
{
	double sum = 0;

	for (uint32_t i = 0; i < FREES; i++) {
		uint32_t count = frees_count_for(site);
		CHECK(count == 0 || count == FREES_ONE_IN << frees_doublings);
		sum += i % period == at ? count : 0;
	}
	return sum;
}

/* Runs that begin before or end after may be off by one each. Also of frees that come in step with
 * the runs, where one at a fixed place would miss all. */
static void later_ones_stand_for_all(void)
{
	static const uint32_t periods[] = {1, 2, 3, FREES_ONE_IN, 2 * FREES_ONE_IN};

	begin(8 * MIB);
	struct site *site = site_at(site_of(1));
	site->frees_seen = FREES_FIRST;
	for (uint32_t doublings = 0; doublings < 3; doublings++) {
		frees_doublings = doublings;
		for (uint32_t i = 0; i < 3 * FREES_ONE_IN << doublings; i++)
			frees_count_for(site); /* to the end of a run of the length before */
		for (size_t p = 0; p < COUNT_OF(periods); p++) {
			double want = (double)FREES / periods[p];
			double error = 6 * sqrt(want * (FREES_ONE_IN << doublings));
			double got = estimate(site, periods[p], periods[p] / 2);
			CHECK(fabs(got - want) <= error);
			CHECK(periods[p] > 1 || fabs(got - want) < 2 * FREES_ONE_IN << doublings);
		}
	}
}
CASE(later_ones_stand_for_all)

/* Many sites, each met a few times: soon nearly all wait for their turn. */
static void not_all_can_be_first(void)
{
	begin(32 * MIB);
	uint32_t captured = 0;
	for (uint64_t seed = 1; seed <= 10000; seed++) {
		struct site *site = site_at(site_of(seed));
		for (int i = 0; i < 3; i++)
			captured += frees_count_for(site) > 0;
	}
	CHECK(captured >= FREES_SPARE && captured <= FREES_SPARE + 2 * 30000 / FREES_ONE_IN + 2);
}
CASE(not_all_can_be_first)

static void where_they_cost_too_much_few_are_first(void)
{
	begin(8 * MIB);
	uint32_t captured = 0;
	frees_doublings = 5;
	for (uint64_t seed = 1; seed <= 2000; seed++)
		captured += frees_count_for(site_at(site_of(seed))) > 0;
	CHECK(captured < 2000 / FREES_ONE_IN);
}
CASE(where_they_cost_too_much_few_are_first)

/* ---- records --------------------------------------------------------------- */

static void kinds_are_apart(void)
{
	begin(8 * MIB);
	uint32_t site = site_of(1);
	struct frees_kinds none = frees_of(site);
	CHECK(frees_most(&none) == FREED_BY_UNKNOWN);
	for (int i = 0; i < 10; i++)
		by_c(site, 7, 100);
	add(site, 8, 300, CAPTURE_NO_CFI);
	struct frees_kinds k = frees_of(site);
	CHECK(bytes_of(k.bytes_fx[FREED_BY_C]) == 1000 && bytes_of(k.unknown_bytes_fx) == 300);
	CHECK(k.objects_fx[FREED_BY_C] == 10u << WEIGHT_OBJECT_BITS);
	CHECK(!k.bytes_fx[FREED_BY_GO] && !k.bytes_fx[FREED_BY_FINALIZER]);
	CHECK(frees_most(&k) == FREED_BY_C);
	CHECK(frees_most(&(struct frees_kinds){0}) == FREED_BY_UNKNOWN);
	add(site, 9, 800, CAPTURE_NO_CFI);
	k = frees_of(site);
	CHECK(frees_most(&k) == FREED_BY_UNKNOWN);
}
CASE(kinds_are_apart)

static void a_stack_has_what_its_sites_have(void)
{
	begin(8 * MIB);
	struct capture c = stack_of(1, 5, CAPTURE_COMPLETE_THREAD);
	uint32_t one = stacks_site(&c, 100, ORIGIN_MALLOC);
	uint32_t two = stacks_site(&c, 200, ORIGIN_MALLOC);
	CHECK(one != two && site_at(one)->stack == site_at(two)->stack);
	by_c(one, 7, 100);
	by_c(two, 7, 200);
	by_c(two, 8, 200);
	add(one, 9, 300, CAPTURE_NO_CFI);
	by_c(site_of(2), 7, 100);
	struct frees_kinds k = frees_of_stack(site_at(one)->stack);
	CHECK(bytes_of(k.bytes_fx[FREED_BY_C]) == 500 && bytes_of(k.unknown_bytes_fx) == 300);
	CHECK(k.objects_fx[FREED_BY_C] == 3u << WEIGHT_OBJECT_BITS);
}
CASE(a_stack_has_what_its_sites_have)

/* Sizes beyond those that have a site each share one, which is a wider record: its frees count as
 * any site's do. */
static void sizes_that_share_a_site_have_freers(void)
{
	begin(8 * MIB);
	struct capture c = stack_of(1, 5, CAPTURE_COMPLETE_THREAD);
	for (uint64_t size = 1; size <= 4 * STACK_MAX_SIZES; size++) {
		uint32_t site = stacks_site(&c, size, ORIGIN_MALLOC);
		site_add_alloc(site_at(site), whole(1, size));
		uint64_t before = frees_of(site).bytes_fx[FREED_BY_C];
		by_c(site, 7, size);
		CHECK(bytes_of(frees_of(site).bytes_fx[FREED_BY_C] - before) == size);
	}
	CHECK(frees_counters().no_room == 0);
}
CASE(sizes_that_share_a_site_have_freers)

static void large_figures_do_not_wrap(void)
{
	begin(8 * MIB);
	uint32_t site = site_of(1);
	struct capture c = stack_of(3, 4, CAPTURE_COMPLETE_THREAD);
	for (int i = 0; i < 4; i++)
		frees_add(site, whole(1, UINT64_C(1) << 40), UINT32_C(1) << 16, &c);
	CHECK(frees_of(site).bytes_fx[FREED_BY_C] == UINT64_MAX);
	frees_add(site, whole(1, 1), 1, &c);
	CHECK(frees_of(site).bytes_fx[FREED_BY_C] == UINT64_MAX);
}
CASE(large_figures_do_not_wrap)

/* 40 stacks, of which 3 free nearly all: these are kept, and the sum stays what it is. */
static void those_that_free_most_are_kept(void)
{
	struct frees_part parts[FREES_PARTS];
	uint64_t sum = 0, large = 0;

	begin(8 * MIB);
	uint32_t site = site_of(1);
	for (uint64_t i = 0; i < 40; i++)
		by_c(site, 100 + i, 100);
	for (uint64_t i = 0; i < 3000; i++)
		by_c(site, 200 + i % 3, 10000);
	size_t count = frees_parts(site, parts);
	CHECK(count <= FREES_STACKS + 1);
	for (size_t i = 0; i < count; i++) {
		CHECK(parts[i].kind == FREED_BY_C);
		sum += bytes_of(parts[i].bytes_fx);
		large += parts[i].stack && bytes_of(parts[i].bytes_fx) > 5000000;
	}
	CHECK(sum == 40 * 100 + 3000 * 10000 && large == 3);
}
CASE(those_that_free_most_are_kept)

static void without_room_frees_are_counted(void)
{
	uint64_t n = 0;

	begin(4 * MIB);
	for (; !frees_counters().no_room && n < 100000; n++)
		by_c(site_of(1 + n), 500000 + n, 100);
	CHECK(frees_counters().no_room == 1 && frees_counters().captured == n);
	CHECK(parts_permille(PART_FREES) > 900 && parts_permille(PART_FREES) <= 1000);
	/* What needs no more room still counts. */
	uint32_t site = site_of(1);
	uint64_t before = frees_of(site).bytes_fx[FREED_BY_C];
	by_c(site, 500000, 100);
	CHECK(bytes_of(frees_of(site).bytes_fx[FREED_BY_C] - before) == 100);
}
CASE(without_room_frees_are_counted)

/* ---- reclaiming ------------------------------------------------------------ */

static void pass(void)
{
	struct timespec ms = {.tv_nsec = 20000000};
	uint64_t before = stacks_reclaimed();

	for (int i = 0; i < 500 && stacks_reclaimed() == before; i++) {
		stacks_reclaim_tick();
		nanosleep(&ms, NULL);
	}
	CHECK(stacks_reclaimed() > before);
}

static void fill(uint64_t seed)
{
	while (cells_used_bytes() < cells_total_bytes() / 10 * 8) {
		struct capture c = stack_of(seed++, 40, CAPTURE_COMPLETE_THREAD);
		uint32_t site = stacks_site(&c, 64, ORIGIN_MALLOC);
		site_add_alloc(site_at(site), whole(1, 64));
		site_add_free(site_at(site), whole(1, 64));
	}
}

static uint64_t hash_of_freer(uint32_t site)
{
	struct frees_part parts[FREES_PARTS];

	return frees_parts(site, parts) ? stack_at(parts[0].stack)->hash : 0;
}

static void freers_stay_as_long_as_their_site(void)
{
	begin(8 * MIB);
	uint32_t kept = site_of(1), gone = site_of(2);
	by_c(kept, 11, 100);
	by_c(gone, 12, 100);
	uint64_t hash = hash_of_freer(kept);
	uint32_t with_records = frees_counters().sites;
	CHECK(hash && with_records == 2);
	site_add_free(site_at(gone), whole(1, 100));
	for (uint64_t i = 1; i < 4; i++) {
		fill(i * 1000000);
		pass();
		CHECK(hash_of_freer(kept) == hash);
		CHECK(bytes_of(frees_of(kept).bytes_fx[FREED_BY_C]) == 100);
	}
	CHECK(frees_counters().sites == 1 && !frees_of(gone).bytes_fx[FREED_BY_C]);
	/* What the cell is reused for has no frees. */
	for (uint64_t i = 0; i < 2000; i++) {
		uint32_t site = site_of(90000000 + i);
		CHECK(!frees_of(site).bytes_fx[FREED_BY_C]);
	}
	/* The same stack again is the same one. */
	by_c(kept, 11, 100);
	struct frees_part parts[FREES_PARTS];
	CHECK(frees_parts(kept, parts) == 1 && bytes_of(parts[0].bytes_fx) == 200);
}
CASE(freers_stay_as_long_as_their_site)

/* ---- many threads ---------------------------------------------------------- */

#define THREADS 8
#define EACH    20000
static uint32_t shared_site;

static void *free_much(void *seed)
{
	for (uint64_t i = 0; i < EACH; i++)
		by_c(shared_site, (uint64_t)seed * 10 + i % 3, 100);
	return NULL;
}

static void threads_lose_nothing(void)
{
	pthread_t threads[THREADS];

	begin(8 * MIB);
	shared_site = site_of(1);
	for (uint64_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, free_much, (void *)(i + 1)) == 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(bytes_of(frees_of(shared_site).bytes_fx[FREED_BY_C]) == THREADS * EACH * 100);
	CHECK(frees_counters().captured == THREADS * EACH && frees_counters().sites == 1);
}
CASE(threads_lose_nothing)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_count_for_themselves),
		cmocka_unit_test(test_later_ones_stand_for_all),
		cmocka_unit_test(test_not_all_can_be_first),
		cmocka_unit_test(test_where_they_cost_too_much_few_are_first),
		cmocka_unit_test(test_kinds_are_apart),
		cmocka_unit_test(test_a_stack_has_what_its_sites_have),
		cmocka_unit_test(test_sizes_that_share_a_site_have_freers),
		cmocka_unit_test(test_large_figures_do_not_wrap),
		cmocka_unit_test(test_those_that_free_most_are_kept),
		cmocka_unit_test(test_without_room_frees_are_counted),
		cmocka_unit_test(test_freers_stay_as_long_as_their_site),
		cmocka_unit_test(test_threads_lose_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
