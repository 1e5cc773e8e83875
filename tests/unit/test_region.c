/* The region's layout at every possible size, its arena, and scratch. */
#include "child.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "region/region.h"
#include "record/live.h"

static bool power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static void check_layout(size_t max_bytes)
{
	const struct region_table *tables[] = {&region->rows,         &region->stack_buckets,
					       &region->mappings,     &region->thread_starts,
					       &region->live_buckets, &region->live_nodes,
					       &region->arena};
	uint64_t end = region->header_bytes;

	CHECK(region->magic == REGION_MAGIC && region->version == REGION_VERSION);
	CHECK(region->region_bytes <= max_bytes - max_bytes / 4);
	CHECK(region_scratch_max_bytes() + region->region_bytes + sizeof(live_filter) == max_bytes);
	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		CHECK(tables[i]->offset >= end && tables[i]->offset % 64 == 0);
		CHECK(tables[i]->bytes > 0);
		end = tables[i]->offset + tables[i]->bytes;
	}
	CHECK(end == region->region_bytes - 64); /* a spare cell */
	CHECK(power_of_two(region->stack_buckets.bytes));
	CHECK(power_of_two(region->live_buckets.bytes));
	CHECK(region->rows.bytes >= 256 * KIB && region->rows.bytes <= MIB);
	CHECK(region->mappings.bytes >= 256 * KIB && region->mappings.bytes <= 8 * MIB);
	CHECK(region->arena.bytes >= region->region_bytes / 5);
	CHECK(region->pid == (uint32_t)getpid() && region->start_monotonic_ns);
}

#define LAYOUT(name, bytes)                                                                        \
	static void name(void)                                                                     \
	{                                                                                          \
		CHECK(region_init(bytes) == 0);                                                    \
		check_layout(bytes);                                                               \
		CHECK(region_init(bytes) == -1);                                                   \
	}                                                                                          \
	CASE(name)
LAYOUT(layout_4_mib, 4 * MIB)
LAYOUT(layout_5_mib_and_one, 5 * MIB + 1)
LAYOUT(layout_32_mib, 32 * MIB)
LAYOUT(layout_1_gib, 1024 * MIB)

static void refuses_what_cannot_be(void)
{
	CHECK(region_init(0) == -1);
	CHECK(region_init(MIB) == -1);
	CHECK(region_init((size_t)1 << 62) == -1);
	CHECK(region == NULL && region_resident_bytes() == 0);
}
CASE(refuses_what_cannot_be)

static void untouched_pages_cost_nothing(void)
{
	CHECK(region_init(32 * MIB) == 0);
	CHECK(region_resident_bytes() <= 2 * PAGE_BYTES);
	memset(region_at(region->live_nodes.offset), 1, 100 * PAGE_BYTES);
	CHECK(region_resident_bytes() >= 100 * PAGE_BYTES);
	CHECK(region_resident_bytes() <= 103 * PAGE_BYTES);
}
CASE(untouched_pages_cost_nothing)

/* ---- arena ------------------------------------------------------------ */

static void arena_fills_and_then_refuses(void)
{
	uint64_t sum = 0, previous = 0;
	uint32_t offset;

	CHECK(region_init(4 * MIB) == 0);
	CHECK(region_alloc(SIZE_MAX) == 0 && region_alloc(region->arena.bytes + 1) == 0);
	while ((offset = region_alloc(1000 + sum % 7))) {
		unsigned char *p = region_at(offset);
		CHECK(offset % 8 == 0 && offset >= region->arena.offset && offset > previous);
		for (size_t i = 0; i < 1000; i++)
			CHECK(p[i] == 0);
		memset(p, 0xff, 1000 + sum % 7);
		previous = offset;
		sum += 1000;
	}
	CHECK(sum > region->arena.bytes * 98 / 100);
	CHECK(region->arena_used <= region->arena.bytes);
	while (region_alloc(8))
		;
	CHECK(region->arena_used == region->arena.bytes && region_alloc(1) == 0);
}
CASE(arena_fills_and_then_refuses)

#define THREADS 4
static void *allocate_until_full(void *arg)
{
	uint64_t *count = arg;
	uint32_t offset;
	while ((offset = region_alloc(24))) {
		uint64_t *words = region_at(offset);
		CHECK(words[0] == 0 && words[1] == 0 && words[2] == 0);
		words[0] = words[1] = words[2] = (uint64_t)arg;
		++*count;
	}
	return NULL;
}

static void arena_gives_each_byte_once(void)
{
	pthread_t threads[THREADS];
	uint64_t counts[THREADS] = {0}, sum = 0;

	CHECK(region_init(4 * MIB) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, allocate_until_full, &counts[i]));
	for (int i = 0; i < THREADS; i++) {
		CHECK(!pthread_join(threads[i], NULL));
		sum += counts[i];
	}
	CHECK(sum == region->arena.bytes / 24);
	/* Each block was written by one thread: an overlap would leave another's word. */
	const uint64_t *words = region_at(region->arena.offset);
	for (uint64_t i = 0; i < sum; i++, words += 3)
		CHECK(words[0] && words[0] == words[1] && words[1] == words[2]);
}
CASE(arena_gives_each_byte_once)

/* ---- scratch ---------------------------------------------------------- */

static void scratch_is_zeroed_aligned_and_distinct(void **state)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	char *before = NULL;

	(void)state;
	for (size_t n = 1; n < 3000; n += 7) {
		char *p = scratch_alloc(&s, n);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_ptr_not_equal(p, before);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
		before = p;
	}
	assert_false(s.exhausted);
	scratch_release(&s);
	assert_int_equal(s.mapped_bytes, 0);
	scratch_release(&s);
}

static void scratch_refuses_past_its_bound(void **state)
{
	struct scratch s = SCRATCH_INIT(MIB);

	(void)state;
	assert_null(scratch_alloc(&s, MIB + 1));
	assert_true(s.exhausted);
	s.exhausted = false;
	assert_null(scratch_alloc(&s, SIZE_MAX - 8));
	assert_null(scratch_strdup(&s, "x", SIZE_MAX));
	assert_true(s.exhausted);
	assert_non_null(scratch_alloc(&s, MIB / 2));
	while (scratch_alloc(&s, 1000))
		assert_true(s.mapped_bytes <= MIB);
	assert_true(s.mapped_bytes >= MIB / 2);
	scratch_release(&s);
	assert_non_null(scratch_alloc(&s, MIB / 2));
	scratch_release(&s);
}

static void scratch_strdup_ends_in_nul(void **state)
{
	struct scratch s = SCRATCH_INIT(MIB);

	(void)state;
	assert_string_equal(scratch_strdup(&s, "abcdef", 3), "abc");
	assert_string_equal(scratch_strdup(&s, "", 0), "");
	scratch_release(&s);
}

static void all_scratch_together_is_bounded(void)
{
	struct scratch a = SCRATCH_INIT(64 * MIB), b = SCRATCH_INIT(64 * MIB);

	CHECK(region_init(8 * MIB) == 0);
	CHECK(scratch_alloc(&a, MIB) && scratch_alloc(&b, MIB / 2));
	CHECK(!scratch_alloc(&b, MIB) && b.exhausted && !a.exhausted);
	CHECK(a.mapped_bytes + b.mapped_bytes <= region_scratch_max_bytes());
	scratch_release(&a);
	CHECK(scratch_alloc(&b, MIB));
	scratch_release(&b);
}
CASE(all_scratch_together_is_bounded)

static void scratch_counts_as_resident(void)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	uint64_t before;
	void *p;

	CHECK(region_init(32 * MIB) == 0);
	before = region_resident_bytes();
	p = scratch_alloc(&s, MIB);
	CHECK(p);
	memset(p, 1, MIB);
	CHECK(region_resident_bytes() >= before + MIB);
	scratch_release(&s);
	CHECK(region_resident_bytes() <= before + PAGE_BYTES);
}
CASE(scratch_counts_as_resident)

/* Whether the mapping of address has this flag in its "VmFlags:" line of smaps. */
static bool has_flag(const void *address, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	unsigned long start, end;
	bool here = false, found = false;

	CHECK(f);
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (uintptr_t)address - start < end - start;
		found = here && strncmp(line, "VmFlags:", 8) == 0 && strstr(line + 8, flag);
	}
	fclose(f);
	return found;
}

/* With huge pages for all, a table with every tenth page touched would be fully resident. */
static void own_memory_has_no_huge_pages(void)
{
	struct scratch s = SCRATCH_INIT(8 * MIB);

	CHECK(region_init(32 * MIB) == 0 && scratch_alloc(&s, 4 * MIB));
	CHECK(has_flag(region, " nh ") && has_flag(s.chunks, " nh "));
	CHECK(!has_flag(__builtin_frame_address(0), " nh "));
	scratch_release(&s);
}
CASE(own_memory_has_no_huge_pages)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_4_mib),
		cmocka_unit_test(test_layout_5_mib_and_one),
		cmocka_unit_test(test_layout_32_mib),
		cmocka_unit_test(test_layout_1_gib),
		cmocka_unit_test(test_refuses_what_cannot_be),
		cmocka_unit_test(test_untouched_pages_cost_nothing),
		cmocka_unit_test(test_arena_fills_and_then_refuses),
		cmocka_unit_test(test_arena_gives_each_byte_once),
		cmocka_unit_test(scratch_is_zeroed_aligned_and_distinct),
		cmocka_unit_test(scratch_refuses_past_its_bound),
		cmocka_unit_test(scratch_strdup_ends_in_nul),
		cmocka_unit_test(test_all_scratch_together_is_bounded),
		cmocka_unit_test(test_scratch_counts_as_resident),
		cmocka_unit_test(test_own_memory_has_no_huge_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
