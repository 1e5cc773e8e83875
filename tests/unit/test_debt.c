/* What of C's memory waits for Go's collector, and what of that has survived its last run. */
#include "child.h"

#include "account/debt.h"
#include "base/clock.h"
#include "base/pagemap.h"
#include "record/frees.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/stacks.h"

/* Who freed what at which site. */
static struct {
	uint32_t site;
	struct frees_kinds kinds;
} known[8];

struct frees_kinds __wrap_frees_of(uint32_t site);
struct frees_kinds __wrap_frees_of(uint32_t site)
{
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (known[i].site == site)
			return known[i].kinds;
	return (struct frees_kinds){0};
}

struct frees_kinds __wrap_frees_of_stack(uint32_t stack);
struct frees_kinds __wrap_frees_of_stack(uint32_t stack)
{
	struct frees_kinds all = {0};
	for (size_t i = 0; i < COUNT_OF(known); i++)
		for (size_t kind = 0; kind < FREED_BY_COUNT; kind++)
			if (known[i].site && site_at(known[i].site)->stack == stack)
				all.bytes_fx[kind] += known[i].kinds.bytes_fx[kind];
	return all;
}

static uint32_t blocks; /* so far */

static uint32_t site_of(uint64_t stack, uint64_t size)
{
	struct capture c = {.count = 3, .frames = {stack * 1000, stack * 1000 + 1, 77}};
	uint32_t site = stacks_site(&c, size, ORIGIN_MALLOC);
	CHECK(site);
	return site;
}

static void add_blocks(uint32_t site, uint64_t size, uint32_t count, uint32_t age)
{
	for (uint32_t i = 0; i < count; i++) {
		struct live_block stale,
			b = {UINT64_C(0x10) * ++blocks, size, site, 1, live_tick_now() - age};
		CHECK(live_put(&b, &stale) == 0);
		site_add_alloc(site_at(site), sample_weight(size, 1));
	}
}

static void freed(size_t i, uint32_t site, uint64_t finalizers, uint64_t cleanups, uint64_t go,
		  uint64_t c)
{
	known[i].site = site;
	known[i].kinds = (struct frees_kinds){.bytes_fx = {finalizers, cleanups, go, c}};
}

static void begin(void)
{
	CHECK(region_init(8 * MIB) == 0);
	region_layout.start_monotonic_ns -= 1000 * LIVE_TICK_NS; /* as old as the blocks */
}

static uint64_t ago(uint64_t ticks)
{
	return ticks == UNKNOWN ? UNKNOWN : clock_monotonic_ns() - ticks * LIVE_TICK_NS;
}

/* As of a collection that began and ended so many ticks ago. */
static struct debt read_debt_during(uint64_t began, uint64_t ended)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct gogc gc = {.began_ns = ago(began), .ended_ns = ago(ended)};
	struct debt d;
	debt_read(&s, &gc, &d);
	scratch_release(&s);
	return d;
}

static struct debt read_debt(uint64_t ticks)
{
	return read_debt_during(ticks, ticks);
}

static void whose_frees_are_not_known(void)
{
	begin();
	add_blocks(site_of(1, 100), 100, 10, 500);
	struct debt d = read_debt(100);
	CHECK(d.bytes == UNKNOWN && d.survived_bytes == UNKNOWN && d.new_bytes == UNKNOWN);
}
CASE(whose_frees_are_not_known)

static void freed_by_hand(void)
{
	begin();
	uint32_t a = site_of(1, 100), b = site_of(2, 100);
	add_blocks(a, 100, 10, 500);
	add_blocks(b, 100, 10, 500);
	freed(0, a, 0, 0, 1000, 0);
	freed(1, b, 0, 0, 0, 1000);
	struct debt d = read_debt(UNKNOWN);
	CHECK(d.bytes == 0 && d.survived_bytes == 0 && d.new_bytes == 0);
}
CASE(freed_by_hand)

static void by_share_and_age(void)
{
	begin();
	uint32_t a = site_of(1, 100), b = site_of(2, 10), c = site_of(3, 1000);
	add_blocks(a, 100, 10, 500);
	add_blocks(a, 100, 30, 10);
	add_blocks(b, 10, 100, 500);
	add_blocks(c, 1000, 100, 500);
	freed(0, a, 3, 0, 1, 0);
	freed(1, b, 0, 7, 0, 0);
	freed(2, c, 0, 0, 5, 0);
	struct debt d = read_debt(100);
	CHECK(d.bytes == 3000 + 1000);
	CHECK(d.survived_bytes == 750 + 1000 && d.new_bytes == 2250);
	d = read_debt(900); /* before all of them */
	CHECK(d.bytes == 4000 && d.survived_bytes == 0 && d.new_bytes == 4000);
	d = read_debt(0);
	CHECK(d.bytes == 4000 && d.survived_bytes == 4000 && d.new_bytes == 0);
	d = read_debt(UNKNOWN);
	CHECK(d.bytes == 4000 && d.survived_bytes == UNKNOWN && d.new_bytes == UNKNOWN);
	/* When it began is not known: what is in between may have been there. */
	d = read_debt_during(900, 100);
	CHECK(d.survived_bytes == 0 && d.new_bytes == 2250);
	d = read_debt_during(UNKNOWN, 100);
	CHECK(d.survived_bytes == UNKNOWN && d.new_bytes == 2250);
	d = read_debt_during(100, 5);
	CHECK(d.survived_bytes == 1750 && d.new_bytes == 0);
}
CASE(by_share_and_age)

/* Blocks of many sizes: of most sizes none has been freed yet. */
static void a_size_takes_the_share_of_its_stack(void)
{
	begin();
	uint32_t a = site_of(1, 100), b = site_of(1, 200), other = site_of(2, 300);
	add_blocks(a, 100, 10, 500);
	add_blocks(b, 200, 10, 500);
	add_blocks(other, 300, 10, 500);
	freed(0, a, 1, 0, 1, 0);
	struct debt d = read_debt(100);
	CHECK(d.bytes == 500 + 1000 && d.survived_bytes == 1500);
}
CASE(a_size_takes_the_share_of_its_stack)

static void a_mapping(void)
{
	begin();
	struct capture c = {.count = 2, .frames = {5, 6}};
	struct mappings_range r = {.start = 1 << 20,
				   .end = (1 << 20) + 4 * PAGE_BYTES,
				   .site = stacks_site(&c, 4 * PAGE_BYTES, ORIGIN_MMAP),
				   .tick = live_tick_now() - 300,
				   .flags = MAPPINGS_USABLE};
	mappings_map(&r);
	freed(0, r.site, 1, 0, 0, 0);
	struct debt d = read_debt(100);
	CHECK(d.bytes == 4 * PAGE_BYTES && d.survived_bytes == 4 * PAGE_BYTES);
	CHECK(read_debt(400).survived_bytes == 0);
}
CASE(a_mapping)

static void without_memory(void)
{
	struct scratch none = SCRATCH_INIT(0);
	struct gogc gc = {.began_ns = 1, .ended_ns = UINT64_MAX / 2};
	struct debt d;
	begin();
	uint32_t a = site_of(1, 100);
	add_blocks(a, 100, 10, 500);
	freed(0, a, 1, 0, 0, 0);
	debt_read(&none, &gc, &d);
	CHECK(d.bytes == 1000 && d.survived_bytes == UNKNOWN && d.new_bytes == 0);
	CHECK(!none.exhausted);
}
CASE(without_memory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_frees_are_not_known),
		cmocka_unit_test(test_freed_by_hand),
		cmocka_unit_test(test_by_share_and_age),
		cmocka_unit_test(test_a_size_takes_the_share_of_its_stack),
		cmocka_unit_test(test_a_mapping),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
