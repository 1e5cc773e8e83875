/*
 * The table of mappings: single cases; random calls against a model and the kernel; threads,
 * signals and fork.
 */
#include "child.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "base/sys.h"
#include "region/region.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/mappings_tree.h"
#include "record/stacks.h"

#define PAGE ((uint64_t)PAGE_BYTES)

/* ---- sites ------------------------------------------------------------ */

/* A separate site for each number. */
static uint32_t site_number(uint32_t n)
{
	struct capture c = {.count = 2, .frames = {0x1000, 0x2000 + n}};
	uint32_t site = stacks_site(&c, PAGE, ORIGIN_MMAP);
	CHECK(site);
	return site;
}

struct figures {
	int64_t objects, bytes;
};

static struct figures in_use(uint32_t id)
{
	const struct site *s = site_at(id);
	struct figures f = {.objects = (int64_t)(s->alloc_objects_fx - s->free_objects_fx),
			    .bytes = (int64_t)(s->alloc_bytes_fx - s->free_bytes_fx)};
	CHECK(f.objects % (1 << WEIGHT_OBJECT_BITS) == 0 && f.bytes % (1 << WEIGHT_BYTE_BITS) == 0);
	f.objects >>= WEIGHT_OBJECT_BITS;
	f.bytes >>= WEIGHT_BYTE_BITS;
	return f;
}

static bool in_use_is(uint32_t site, int64_t objects, int64_t pages)
{
	struct figures f = in_use(site);
	return f.objects == objects && f.bytes == pages * (int64_t)PAGE;
}

static bool allocated_is(uint32_t id, uint64_t objects, uint64_t pages)
{
	return site_at(id)->alloc_objects_fx >> WEIGHT_OBJECT_BITS == objects &&
	       site_at(id)->alloc_bytes_fx >> WEIGHT_BYTE_BITS == pages * PAGE;
}

/* Pages [first, last) of an address range that is not used otherwise. */
#define BASE UINT64_C(0x100000000)

static void map(uint64_t first, uint64_t last, uint32_t site, int kind, int flags)
{
	struct mappings_range r = {.start = BASE + first * PAGE,
				   .end = BASE + last * PAGE,
				   .site = site,
				   .tick = 1,
				   .kind = (uint8_t)kind,
				   .flags = (uint8_t)flags};
	mappings_map(&r);
}

/* As slow_munmap does where the real call succeeds. */
static void unmap_bytes(uint64_t start, uint64_t bytes)
{
	mappings_drop(mappings_hold(start, bytes));
}

static void unmap(uint64_t first, uint64_t last)
{
	unmap_bytes(BASE + first * PAGE, (last - first) * PAGE);
}

static void protect(uint64_t first, uint64_t last, bool usable, uint32_t site)
{
	mappings_protect(BASE + first * PAGE, (last - first) * PAGE, usable, site);
}

static uint32_t hold(uint64_t first, uint64_t last)
{
	return mappings_hold(BASE + first * PAGE, (last - first) * PAGE);
}

/* The table of mappings as text: "0-4 C u 7" is pages, kind, usable, and the site's number,
 * or - for none. */
static const char *shown(const uint32_t *sites, size_t count)
{
	static char text[4096];
	static const char *const kinds[] = {"C",        "allocator", "heap",
					    "metadata", "stack",     "cached"};
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct mappings_range *list;
	long n = mappings_copy(&scratch, &list);
	size_t used = 0;

	CHECK(n >= 0 && (uint64_t)n == mappings_counters().ranges);
	text[0] = 0;
	for (long i = 0; i < n; i++) {
		const struct mappings_range *r = &list[i];
		char number[24] = "-";
		for (size_t s = 0; s < count; s++)
			if (r->site && sites[s] == r->site)
				snprintf(number, sizeof(number), "%zu", s);
		CHECK(i == 0 || list[i - 1].end <= r->start);
		CHECK(r->start < r->end);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%d-%d %s %s%s",
					 i ? ", " : "", (int)((r->start - BASE) / PAGE),
					 (int)((r->end - BASE) / PAGE), kinds[r->kind],
					 r->flags & MAPPINGS_USABLE ? "u " : "", number);
	}
	scratch_release(&scratch);
	return text;
}

#define SHOWS(text)                                                                                \
	do {                                                                                       \
		const char *is = shown(sites, COUNT_OF(sites));                                    \
		if (strcmp(is, text) != 0)                                                         \
			fprintf(stderr, "is:     %s\nwanted: %s\n", is, text);                     \
		CHECK(strcmp(is, text) == 0);                                                      \
	} while (0)

static void begin(uint32_t sites[3])
{
	CHECK(region_init(8 * MIB) == 0);
	for (uint32_t i = 0; i < 3; i++)
		sites[i] = site_number(i);
}

/* ---- case by case ----------------------------------------------------- */

static void a_mapping_counts_until_it_is_unmapped(void)
{
	uint32_t sites[3];
	struct mappings_range r;

	begin(sites);
	SHOWS("");
	map(10, 14, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	SHOWS("10-14 C u 0");
	CHECK(in_use_is(sites[0], 1, 4));
	CHECK(mappings_find(BASE + 14 * PAGE - 1, &r) && r.site == sites[0] && r.tick == 1);
	CHECK(r.start == BASE + 10 * PAGE && r.flags == (MAPPINGS_USABLE | MAPPINGS_HEAD));
	CHECK(!mappings_find(BASE + 14 * PAGE, &r) && !mappings_find(BASE + 10 * PAGE - 1, &r));
	unmap(0, 10);
	unmap(14, 20);
	CHECK(in_use_is(sites[0], 1, 4));
	unmap(10, 14);
	SHOWS("");
	CHECK(in_use_is(sites[0], 0, 0) && allocated_is(sites[0], 1, 4));
}
CASE(a_mapping_counts_until_it_is_unmapped)

static void lengths_are_rounded_to_pages(void)
{
	uint32_t sites[3];
	struct mappings_range r = {
		.start = BASE, .end = BASE + PAGE + 1, .flags = MAPPINGS_USABLE | MAPPINGS_HEAD};

	begin(sites);
	r.site = sites[1];
	mappings_map(&r);
	SHOWS("0-2 C u 1");
	CHECK(in_use_is(sites[1], 1, 2));
	unmap_bytes(BASE + PAGE, 1);
	SHOWS("0-1 C u 1");
	unmap_bytes(BASE, 0);
	r.end = r.start;
	mappings_map(&r);
	SHOWS("0-1 C u 1");
	/* A length that wraps around means everything above. */
	unmap_bytes(BASE, UINT64_MAX);
	SHOWS("");
	CHECK(in_use_is(sites[1], 0, 0));
}
CASE(lengths_are_rounded_to_pages)

static void the_object_goes_with_its_last_piece(void)
{
	uint32_t sites[3];

	begin(sites);
	map(0, 9, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	unmap(3, 4);
	SHOWS("0-3 C u 0, 4-9 C u 0");
	CHECK(in_use_is(sites[0], 1, 8));
	unmap(0, 3); /* the piece that carried the object */
	CHECK(in_use_is(sites[0], 1, 5));
	unmap(6, 7);
	unmap(8, 9);
	SHOWS("4-6 C u 0, 7-8 C u 0");
	CHECK(in_use_is(sites[0], 1, 3));
	unmap(4, 6);
	CHECK(in_use_is(sites[0], 1, 1));
	unmap(7, 8);
	CHECK(in_use_is(sites[0], 0, 0) && allocated_is(sites[0], 1, 9));
	SHOWS("");
}
CASE(the_object_goes_with_its_last_piece)

/* Of the pieces of each object, exactly one is marked, whichever are removed. */
static void one_piece_stands_for_the_object(void)
{
	uint32_t sites[3];
	struct mappings_range r;
	int heads;

	begin(sites);
	map(0, 32, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	for (uint64_t hole = 1; hole < 32; hole += 2)
		unmap(hole, hole + 1);
	for (uint64_t gone = 0; gone < 32; gone += 2) {
		heads = 0;
		for (uint64_t page = 0; page < 32; page++)
			heads += mappings_find(BASE + page * PAGE, &r) && r.flags & MAPPINGS_HEAD;
		CHECK(heads == 1 && in_use_is(sites[0], 1, 16 - (int64_t)gone / 2));
		unmap(gone, gone + 1);
	}
	CHECK(in_use_is(sites[0], 0, 0));
}
CASE(one_piece_stands_for_the_object)

static void a_new_range_takes_the_place_of_old_ones(void)
{
	uint32_t sites[3];

	begin(sites);
	map(0, 4, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	map(6, 10, sites[1], MAPPINGS_C, MAPPINGS_USABLE);
	map(3, 7, sites[2], MAPPINGS_C, MAPPINGS_USABLE);
	SHOWS("0-3 C u 0, 3-7 C u 2, 7-10 C u 1");
	CHECK(in_use_is(sites[0], 1, 3) && in_use_is(sites[1], 1, 3) && in_use_is(sites[2], 1, 4));
	map(4, 5, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	SHOWS("0-3 C u 0, 3-4 C u 2, 4-5 C u 0, 5-7 C u 2, 7-10 C u 1");
	CHECK(in_use_is(sites[0], 2, 4) && in_use_is(sites[2], 1, 3));
	map(0, 10, sites[1], MAPPINGS_C, MAPPINGS_USABLE);
	SHOWS("0-10 C u 1");
	CHECK(in_use_is(sites[0], 0, 0) && in_use_is(sites[1], 1, 10) && in_use_is(sites[2], 0, 0));
}
CASE(a_new_range_takes_the_place_of_old_ones)

static void a_reservation_counts_as_it_is_committed(void)
{
	uint32_t sites[3];

	begin(sites);
	map(0, 100, sites[0], MAPPINGS_C, 0);
	CHECK(in_use_is(sites[0], 0, 0) && allocated_is(sites[0], 0, 0));
	CHECK(mappings_wants_site(BASE + 8 * PAGE, PAGE));
	protect(10, 20, true, sites[1]);
	CHECK(!mappings_wants_site(BASE + 10 * PAGE, 10 * PAGE));
	CHECK(mappings_wants_site(BASE + 10 * PAGE, 10 * PAGE + 1));
	SHOWS("0-10 C 0, 10-20 C u 1, 20-100 C 0");
	CHECK(in_use_is(sites[0], 0, 0) && in_use_is(sites[1], 1, 10));
	/* Usable pages keep their site; one call is one object, in two pieces. */
	protect(5, 30, true, sites[2]);
	SHOWS("0-5 C 0, 5-10 C u 2, 10-20 C u 1, 20-30 C u 2, 30-100 C 0");
	CHECK(in_use_is(sites[1], 1, 10) && in_use_is(sites[2], 1, 15));
	protect(0, 100, false, 0);
	CHECK(in_use_is(sites[1], 0, 0) && in_use_is(sites[2], 0, 0));
	CHECK(allocated_is(sites[1], 1, 10) && allocated_is(sites[2], 1, 15));
	SHOWS("0-5 C 0, 5-10 C 2, 10-20 C 1, 20-30 C 2, 30-100 C 0");
	protect(0, 100, true, sites[0]);
	CHECK(in_use_is(sites[0], 1, 100));
	/* The pieces of one call may be merged once they are adjacent. */
	unmap(0, 100);
	CHECK(in_use_is(sites[0], 0, 0));
	SHOWS("");
}
CASE(a_reservation_counts_as_it_is_committed)

/* The call turns adjacent reservations one by one into a single piece. */
static void what_one_call_commits_is_one_object(void)
{
	uint32_t sites[3];

	begin(sites);
	for (uint32_t i = 0; i < 3; i++)
		map(10 * i, 10 * i + 10, sites[i], MAPPINGS_C, 0);
	protect(0, 30, true, sites[0]);
	SHOWS("0-30 C u 0");
	CHECK(in_use_is(sites[0], 1, 30));
	unmap(0, 20);
	CHECK(in_use_is(sites[0], 1, 10));
	unmap(20, 30);
	CHECK(in_use_is(sites[0], 0, 0));
}
CASE(what_one_call_commits_is_one_object)

static void protection_that_changes_nothing_cuts_nothing(void)
{
	uint32_t sites[3];

	begin(sites);
	map(0, 64, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	for (uint64_t page = 0; page < 64; page += 2)
		protect(page, page + 1, true, 0);
	SHOWS("0-64 C u 0");
	protect(10, 12, false, 0);
	protect(12, 14, false, 0);
	SHOWS("0-10 C u 0, 10-14 C 0, 14-64 C u 0");
	CHECK(in_use_is(sites[0], 1, 60));
	protect(0, 12, false, 0);
	SHOWS("0-14 C 0, 14-64 C u 0");
	CHECK(in_use_is(sites[0], 1, 50));
}
CASE(protection_that_changes_nothing_cuts_nothing)

static void what_is_not_c_is_not_counted(void)
{
	static const int uncounted[] = {MAPPINGS_ALLOCATOR, MAPPINGS_GO_HEAP, MAPPINGS_GO_METADATA,
					MAPPINGS_CACHED_STACK};
	uint32_t sites[3];

	begin(sites);
	for (uint64_t i = 0; i < COUNT_OF(uncounted); i++) {
		map(i, i + 1, sites[0], uncounted[i], 0);
		CHECK(!mappings_wants_site(BASE + i * PAGE, PAGE));
		protect(i, i + 1, true, sites[1]);
		protect(i, i + 1, false, sites[1]);
		protect(i, i + 1, true, sites[1]);
	}
	map(10, 20, 0, MAPPINGS_C, MAPPINGS_USABLE | MAPPINGS_FILE);
	map(20, 30, sites[0], MAPPINGS_C, MAPPINGS_FILE);
	CHECK(!mappings_wants_site(BASE + 20 * PAGE, PAGE));
	protect(20, 30, true, sites[1]);
	map(30, 40, 0, MAPPINGS_C, MAPPINGS_USABLE);
	CHECK(allocated_is(sites[0], 0, 0) && allocated_is(sites[1], 0, 0));
	SHOWS("0-1 allocator u 0, 1-2 heap u 0, 2-3 metadata u 0, 3-4 cached u 0, "
	      "10-20 C u -, 20-30 C u 0, 30-40 C u -");
	unmap(0, 40);
	CHECK(in_use_is(sites[0], 0, 0) && in_use_is(sites[1], 0, 0));
}
CASE(what_is_not_c_is_not_counted)

static void what_says_the_same_is_one_range(void)
{
	uint32_t sites[3];

	begin(sites);
	map(0, 100, 0, MAPPINGS_GO_HEAP, 0);
	for (uint64_t page = 0; page < 100; page += 10)
		map(page, page + 10, 0, MAPPINGS_GO_HEAP, MAPPINGS_USABLE);
	SHOWS("0-100 heap u -");
	map(100, 110, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	map(110, 120, sites[0], MAPPINGS_C, MAPPINGS_USABLE); /* two objects stay separate */
	SHOWS("0-100 heap u -, 100-110 C u 0, 110-120 C u 0");
	CHECK(in_use_is(sites[0], 2, 20));
	unmap(40, 60);
	SHOWS("0-40 heap u -, 60-100 heap u -, 100-110 C u 0, 110-120 C u 0");
}
CASE(what_says_the_same_is_one_range)

static void what_is_held_can_be_put_back(void)
{
	uint32_t sites[3], held;
	struct mappings_range r;

	begin(sites);
	map(0, 10, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	map(10, 20, sites[1], MAPPINGS_C, MAPPINGS_USABLE);
	held = hold(5, 15);
	CHECK(held && !mappings_find(BASE + 5 * PAGE, &r) && mappings_find(BASE + 4 * PAGE, &r));
	CHECK(in_use_is(sites[0], 1, 10)); /* not freed until it is dropped */
	mappings_restore(held);
	SHOWS("0-10 C u 0, 10-20 C u 1");
	held = hold(5, 15);
	mappings_drop(held);
	SHOWS("0-5 C u 0, 15-20 C u 1");
	CHECK(in_use_is(sites[0], 1, 5) && in_use_is(sites[1], 1, 5));
	CHECK(hold(100, 200) == 0);
	mappings_restore(0);
	mappings_drop(0);
	/* Another mapping came first. */
	held = hold(0, 5);
	map(2, 3, sites[2], MAPPINGS_C, MAPPINGS_USABLE);
	mappings_restore(held);
	SHOWS("2-3 C u 2, 15-20 C u 1");
	CHECK(in_use_is(sites[0], 0, 0));
}
CASE(what_is_held_can_be_put_back)

static void what_is_held_can_move(void)
{
	uint32_t sites[3];

	begin(sites);
	map(0, 10, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	map(50, 60, sites[1], MAPPINGS_C, MAPPINGS_USABLE);
	mappings_move(hold(4, 8), BASE + 4 * PAGE, BASE + 52 * PAGE, 4 * PAGE);
	SHOWS("0-4 C u 0, 8-10 C u 0, 50-52 C u 1, 52-56 C u 0, 56-60 C u 1");
	CHECK(in_use_is(sites[0], 1, 10) && in_use_is(sites[1], 1, 6));
	/* Shrinking: the part past the new end is freed. */
	mappings_move(hold(50, 60), BASE + 50 * PAGE, BASE + 20 * PAGE, 3 * PAGE);
	SHOWS("0-4 C u 0, 8-10 C u 0, 20-22 C u 1, 22-23 C u 0");
	CHECK(in_use_is(sites[0], 1, 7) && in_use_is(sites[1], 1, 2));
	mappings_move(hold(20, 23), BASE + 20 * PAGE, BASE + 20 * PAGE, 1 * PAGE);
	SHOWS("0-4 C u 0, 8-10 C u 0, 20-21 C u 1");
	/* Nothing was held: the place is cleared anyway. */
	mappings_move(0, BASE + 100 * PAGE, BASE + 3 * PAGE, 6 * PAGE);
	SHOWS("0-3 C u 0, 9-10 C u 0, 20-21 C u 1");
	unmap(0, 100);
	CHECK(in_use_is(sites[0], 0, 0) && in_use_is(sites[1], 0, 0));
}
CASE(what_is_held_can_move)

static void a_stack_counts_while_its_thread_runs(void)
{
	uint32_t sites[3];

	begin(sites);
	map(0, 8, sites[0], MAPPINGS_THREAD_STACK, MAPPINGS_USABLE);
	CHECK(in_use_is(sites[0], 1, 8));
	/* A guard page in it, and back. */
	protect(2, 3, false, 0);
	CHECK(in_use_is(sites[0], 1, 7));
	protect(0, 8, true, sites[1]);
	CHECK(in_use_is(sites[0], 2, 8) && allocated_is(sites[1], 0, 0));
	mappings_stack_ended(BASE + 8 * PAGE); /* not in it */
	CHECK(in_use_is(sites[0], 2, 8));
	unmap(2, 3);
	mappings_stack_ended(BASE + 8 * PAGE - 1);
	mappings_stack_ended(BASE + 8 * PAGE - 1);
	SHOWS("0-2 stack u 0, 3-8 cached u 0");
	CHECK(in_use_is(sites[0], 1, 2));
	map(0, 8, sites[1], MAPPINGS_THREAD_STACK, MAPPINGS_USABLE);
	SHOWS("0-8 stack u 1");
	CHECK(in_use_is(sites[0], 0, 0) && in_use_is(sites[1], 1, 8));
}
CASE(a_stack_counts_while_its_thread_runs)

/* One call over C's reservation and a stack: the stack does not become part of C's object. */
static void a_stack_stays_its_creators(void)
{
	uint32_t sites[3];

	begin(sites);
	map(0, 4, sites[2], MAPPINGS_C, 0);
	map(4, 8, sites[0], MAPPINGS_THREAD_STACK, 0);
	protect(0, 8, true, sites[1]);
	SHOWS("0-4 C u 1, 4-8 stack u 0");
	CHECK(in_use_is(sites[0], 1, 4) && in_use_is(sites[1], 1, 4));
	unmap(0, 4);
	CHECK(in_use_is(sites[0], 1, 4) && in_use_is(sites[1], 0, 0));
	unmap(4, 8);
	CHECK(in_use_is(sites[0], 0, 0) && in_use_is(sites[1], 0, 0));
}
CASE(a_stack_stays_its_creators)

static void reconciling_forgets_what_is_not_mapped(void)
{
	uint32_t sites[3];
	struct mappings_span spans[] = {{BASE + 2 * PAGE, BASE + 4 * PAGE},
					{BASE + 4 * PAGE, BASE + 6 * PAGE},
					{BASE + 12 * PAGE, BASE + 13 * PAGE}};
	struct mappings_range newer;

	begin(sites);
	map(0, 10, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	map(12, 13, sites[1], MAPPINGS_C, MAPPINGS_USABLE);
	newer = (struct mappings_range){.start = BASE + 20 * PAGE,
					.end = BASE + 22 * PAGE,
					.tick = 2,
					.site = sites[2],
					.flags = MAPPINGS_USABLE};
	mappings_map(&newer);
	CHECK(mappings_reconcile(spans, COUNT_OF(spans), 1) == 0);
	CHECK(mappings_reconcile(spans, COUNT_OF(spans), 2) == 6 * PAGE);
	SHOWS("2-6 C u 0, 12-13 C u 1, 20-22 C u 2");
	CHECK(in_use_is(sites[0], 1, 4) && in_use_is(sites[2], 1, 2));
	CHECK(mappings_reconcile(spans, 0, 3) == 7 * PAGE);
	SHOWS("");
	CHECK(in_use_is(sites[0], 0, 0) && in_use_is(sites[1], 0, 0) && in_use_is(sites[2], 0, 0));
}
CASE(reconciling_forgets_what_is_not_mapped)

/* ---- a full pool ------------------------------------------------------ */

/* The ranges and the site agree, to the byte. */
static void check_sum(uint32_t site)
{
	struct scratch scratch = SCRATCH_INIT(16 * MIB);
	struct mappings_range *list;
	long n = mappings_copy(&scratch, &list);
	int64_t objects = 0, bytes = 0;

	CHECK(n >= 0);
	for (long i = 0; i < n; i++) {
		CHECK(i == 0 || list[i - 1].end <= list[i].start);
		if (list[i].site == site && mappings_is_counted(&list[i])) {
			bytes += (int64_t)(list[i].end - list[i].start);
			objects += !!(list[i].flags & MAPPINGS_HEAD);
		}
	}
	CHECK(in_use(site).objects == objects && in_use(site).bytes == bytes);
	scratch_release(&scratch);
}

static void a_full_pool_refuses_and_recovers(void)
{
	uint32_t sites[3];
	uint64_t n = 0, refused;
	struct mappings_range r;

	begin(sites);
	for (; mappings_counters().refused == 0; n += 4)
		map(n, n + 3, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	CHECK(mappings_counters().ranges == n / 4 - 1);
	CHECK(mappings_counters().ranges > 5000);
	CHECK(in_use_is(sites[0], (int64_t)n / 4 - 1, ((int64_t)n / 4 - 1) * 3));
	check_sum(sites[0]);
	/* No room to cut: the piece keeps what lies before the hole. */
	refused = mappings_counters().refused;
	unmap(5, 6);
	CHECK(mappings_counters().refused == refused + 1);
	CHECK(mappings_find(BASE + 4 * PAGE, &r) && r.end == BASE + 5 * PAGE);
	check_sum(sites[0]);
	protect(8, 9, false, 0);
	check_sum(sites[0]);
	/* One node is freed, so one has room. */
	unmap(40, 43);
	map(40, 43, sites[1], MAPPINGS_C, MAPPINGS_USABLE);
	CHECK(in_use_is(sites[1], 1, 3));
	check_sum(sites[0]);
	unmap(0, n);
	CHECK(mappings_counters().ranges == 0);
	CHECK(in_use_is(sites[0], 0, 0) && in_use_is(sites[1], 0, 0));
	map(0, 10, sites[2], MAPPINGS_C, MAPPINGS_USABLE);
	unmap(5, 6);
	SHOWS("0-5 C u 2, 6-10 C u 2");
}
CASE(a_full_pool_refuses_and_recovers)

/* The depth of the tree after orders that turn a plain tree into a list. */
static unsigned depth_of(uint32_t node)
{
	unsigned left, right;

	if (!node)
		return 0;
	left = depth_of(mappings_follow(node)->left);
	right = depth_of(mappings_follow(node)->right);
	return 1 + (left > right ? left : right);
}

static void the_tree_stays_shallow(void)
{
	uint32_t sites[3];

	begin(sites);
	for (uint64_t i = 0; i < 4096; i++)
		map(2 * i, 2 * i + 1, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	CHECK(depth_of(mappings_head()->root) < 48);
	/* Freed in one order and reused in the same order. */
	for (int round = 0; round < 8; round++) {
		for (uint64_t i = 0; i < 4096; i += 2)
			unmap(2 * i, 2 * i + 1);
		for (uint64_t i = 0; i < 4096; i += 2)
			map(2 * i, 2 * i + 1, sites[0], MAPPINGS_C, MAPPINGS_USABLE);
	}
	CHECK(depth_of(mappings_head()->root) < 48);
	check_sum(sites[0]);
}
CASE(the_tree_stays_shallow)

/* ---- against a model and the kernel ----------------------------------- */

/*
 * A private reservation of this many pages, fewer than scratch maps at a time, so that scratch
 * is never mapped into a hole.
 */
#define PAGES  60
#define SITES  7
#define ROUNDS 20
#define STEPS  1500

/* A page in the model; object 0: not counted. */
struct page {
	bool mapped, usable, file;
	uint8_t kind;
	uint32_t site, object;
};

static struct {
	struct page pages[PAGES];
	uint32_t objects; /* so far; 0 is none */
	uint64_t start;
	uint32_t sites[SITES];
	int file;
} model;

static uint32_t draw(uint32_t below)
{
	return (uint32_t)random() % below;
}

static bool page_counts(const struct page *p)
{
	return p->mapped && p->usable && !p->file && p->kind == MAPPINGS_C;
}

static uint64_t address_of(uint32_t page)
{
	return model.start + page * PAGE;
}

static void step_mmap(uint32_t first, uint32_t last)
{
	static const uint8_t kinds[] = {MAPPINGS_C,         MAPPINGS_C,       MAPPINGS_C,
					MAPPINGS_ALLOCATOR, MAPPINGS_GO_HEAP, MAPPINGS_GO_METADATA};
	uint8_t kind = kinds[draw(COUNT_OF(kinds))];
	bool usable = draw(2), file = kind == MAPPINGS_C && draw(5) == 0;
	uint32_t site = kind == MAPPINGS_C && !file ? model.sites[draw(SITES)] : 0;
	struct page made = {
		.mapped = true, .usable = usable, .file = file, .kind = kind, .site = site};
	struct mappings_range range = {
		.start = address_of(first),
		.end = address_of(last),
		.site = site,
		.kind = kind,
		.flags = (uint8_t)((usable ? MAPPINGS_USABLE : 0) | (file ? MAPPINGS_FILE : 0))};

	if (mmap((void *)range.start, (last - first) * PAGE,
		 usable ? PROT_READ | PROT_WRITE : PROT_NONE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | (file ? 0 : MAP_ANONYMOUS),
		 file ? model.file : -1, 0) == MAP_FAILED)
		return;
	mappings_map(&range);
	made.object = page_counts(&made) ? ++model.objects : 0;
	for (uint32_t i = first; i < last; i++)
		model.pages[i] = made;
}

static void step_munmap(uint32_t first, uint32_t last)
{
	bool fails = draw(4) == 0;
	uint64_t start = address_of(first) + (fails ? 1 : 0);
	uint32_t held = mappings_hold(start, (last - first) * PAGE - fails);

	if (munmap((void *)start, (last - first) * PAGE - fails)) {
		mappings_restore(held);
		return;
	}
	mappings_drop(held);
	memset(&model.pages[first], 0, (last - first) * sizeof(model.pages[0]));
}

static bool all_mapped(uint32_t first, uint32_t last)
{
	while (first < last && model.pages[first].mapped)
		first++;
	return first == last;
}

/* Over a hole mprotect fails after it has changed the pages before it. */
static void step_mprotect(uint32_t first, uint32_t last)
{
	bool usable = draw(2), wants = false;
	uint32_t site = model.sites[draw(SITES)], object = 0;

	if (!all_mapped(first, last) || mprotect((void *)address_of(first), (last - first) * PAGE,
						 usable ? PROT_READ : PROT_NONE))
		return;
	for (uint32_t i = first; i < last; i++)
		wants |= !model.pages[i].usable && !model.pages[i].file &&
			 model.pages[i].kind == MAPPINGS_C;
	CHECK(mappings_wants_site(address_of(first), (last - first) * PAGE) == wants);
	mappings_protect(address_of(first), (last - first) * PAGE, usable, site);
	for (uint32_t i = first; i < last; i++) {
		struct page *p = &model.pages[i];
		if (p->usable == usable)
			continue;
		p->usable = usable;
		p->object = 0;
		if (!page_counts(p))
			continue;
		if (!object)
			object = ++model.objects;
		p->object = object;
		p->site = site;
	}
}

static void model_forget(uint32_t first, uint32_t last)
{
	memset(&model.pages[first], 0, (last - first) * sizeof(model.pages[0]));
}

/* Moves, shrinks and grows, at a fixed place or not, and leaves the old range (DONTUNMAP). */
static void step_mremap(uint32_t first, uint32_t last)
{
	uint32_t old = last - first, to = draw(PAGES), new = 1 + draw(PAGES - to), site;
	bool stays = draw(4) == 0, moves = stays || draw(3);
	struct page pages[PAGES], grown;
	struct mappings_range like;
	uint64_t place;
	uint32_t held;

	if (stays || draw(2))
		new = old;
	if (!moves)
		to = first;
	if (to + new > PAGES || (moves && to < last && first < to + new) ||
	    !all_mapped(first, last))
		return;
	if (!moves && new > old) {
		/* Without free room behind it, the kernel refuses. */
		for (uint32_t i = last; i < to + new; i++)
			if (model.pages[i].mapped)
				return;
	}
	CHECK(mappings_find(address_of(first), &like));
	held = stays ? 0 : mappings_hold(address_of(first), old * PAGE);
	place = (uint64_t)mremap(
		(void *)address_of(first), old * PAGE, new *PAGE,
		moves ? MREMAP_MAYMOVE | MREMAP_FIXED | (stays ? MREMAP_DONTUNMAP : 0) : 0,
		address_of(to));
	if (place != address_of(to)) {
		CHECK(place == (uint64_t)MAP_FAILED);
		mappings_restore(held);
		return;
	}
	site = like.kind == MAPPINGS_C && !(like.flags & MAPPINGS_FILE) ? model.sites[draw(SITES)]
									: 0;
	memcpy(pages, &model.pages[first], old * sizeof(pages[0]));
	grown = pages[0];
	if (!stays)
		model_forget(first, last);
	if (stays) {
		uint32_t object = 0;
		site = model.sites[draw(SITES)];
		mappings_duplicate(address_of(first), place, new *PAGE, site);
		for (uint32_t i = 0; i < new; i++) {
			if (pages[i].kind == MAPPINGS_C && !pages[i].file)
				pages[i].site = site;
			if (page_counts(&pages[i]))
				pages[i].object = object ? object : (object = ++model.objects);
		}
		memcpy(&model.pages[to], pages, new * sizeof(pages[0]));
		return;
	}
	if (new > old) {
		like.start = place;
		like.end = place + new *PAGE;
		like.site = site;
		mappings_map(&like);
		mappings_drop(held);
		grown.site = site;
		grown.object = page_counts(&grown) ? ++model.objects : 0;
		for (uint32_t i = 0; i < new; i++)
			model.pages[to + i] = grown;
		return;
	}
	mappings_move(held, address_of(first), place, new *PAGE);
	memcpy(&model.pages[to], pages, new * sizeof(pages[0]));
}

static void check_pages(void)
{
	struct mappings_range r = {.end = 0};

	for (uint32_t i = 0; i < PAGES; i++) {
		const struct page *p = &model.pages[i];
		bool found = mappings_find(address_of(i), &r);
		CHECK(found == p->mapped);
		if (!found)
			continue;
		CHECK(!!(r.flags & MAPPINGS_USABLE) == p->usable && r.kind == p->kind);
		CHECK(!!(r.flags & MAPPINGS_FILE) == p->file && r.site == p->site);
	}
}

static void check_figures(void)
{
	static bool seen[1u << 20];

	for (uint32_t s = 0; s < SITES; s++) {
		int64_t objects = 0, pages = 0;
		for (uint32_t i = 0; i < PAGES; i++) {
			const struct page *p = &model.pages[i];
			if (p->site != model.sites[s] || !p->object)
				continue;
			CHECK(p->object < COUNT_OF(seen));
			pages++;
			objects += !seen[p->object];
			seen[p->object] = true;
		}
		for (uint32_t i = 0; i < PAGES; i++)
			seen[model.pages[i].object] = false;
		CHECK(in_use_is(model.sites[s], objects, pages));
		check_sum(model.sites[s]);
	}
}

/* The kernel's view: each page's protection, or that it does not exist. */
static void check_kernel(void)
{
	static char text[1 << 20];
	bool mapped[PAGES] = {0}, usable[PAGES] = {0};
	long fd = sys_open_read("/proc/self/maps"), n;
	size_t used = 0;

	CHECK(fd >= 0);
	while ((n = sys_read((int)fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	sys_close((int)fd);
	text[used] = 0;
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		char *end;
		uint64_t from = strtoull(line, &end, 16), to = strtoull(end + 1, &end, 16);
		for (uint32_t i = 0; i < PAGES; i++)
			if (address_of(i) >= from && address_of(i) < to) {
				mapped[i] = true;
				usable[i] = memcmp(end, " ---", 4) != 0;
			}
	}
	for (uint32_t i = 0; i < PAGES; i++) {
		CHECK(mapped[i] == model.pages[i].mapped);
		CHECK(usable[i] == (model.pages[i].mapped && model.pages[i].usable));
	}
}

static void step(void)
{
	static void (*const steps[])(uint32_t, uint32_t) = {step_mmap, step_munmap, step_mprotect,
							    step_mremap};
	uint32_t first = draw(PAGES), last = first + 1 + draw(draw(3) ? 6 : PAGES);

	steps[draw(COUNT_OF(steps))](first, last < PAGES ? last : PAGES);
}

static void agrees_with_a_model_and_the_kernel(void)
{
	struct scratch warm = SCRATCH_INIT(MIB);
	char name[] = "/tmp/cgoheap-ledger-XXXXXX";

	CHECK(region_init(8 * MIB) == 0);
	CHECK(scratch_alloc(&warm, 1));
	for (uint32_t i = 0; i < SITES; i++)
		model.sites[i] = site_number(i);
	model.file = mkstemp(name);
	CHECK(model.file >= 0 && unlink(name) == 0 && ftruncate(model.file, PAGES * PAGE) == 0);
	model.start =
		(uint64_t)mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(model.start != (uint64_t)MAP_FAILED &&
	      munmap((void *)model.start, PAGES * PAGE) == 0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		srandom(round + 1);
		for (uint32_t i = 0; i < STEPS; i++) {
			step();
			check_pages();
			if (i % 8 == 0)
				check_figures();
			if (i % 50 == 0)
				check_kernel();
		}
		check_kernel();
		CHECK(munmap((void *)model.start, PAGES * PAGE) == 0);
		unmap_bytes(model.start, PAGES * PAGE);
		model_forget(0, PAGES);
		check_figures();
		CHECK(mappings_counters().ranges == 0 && mappings_counters().refused == 0);
	}
}
CASE(agrees_with_a_model_and_the_kernel)

/* ---- threads ---------------------------------------------------------- */

#define THREADS      4
#define THREAD_PAGES 64

static uint32_t shared_site;
static bool done;

/* Each thread uses different addresses but the same site, so they share only the figures. */
static void *hammer(void *arg)
{
	uint64_t base = (uint64_t)(uintptr_t)arg * 1000;
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < 5000; i++) {
		uint64_t first = base + (uint64_t)rand_r(&seed) % THREAD_PAGES;
		uint64_t last = first + 1 + (uint64_t)rand_r(&seed) % 8;
		switch (rand_r(&seed) % 4) {
		case 0:
			unmap(first, last);
			break;
		case 1:
			protect(first, last, rand_r(&seed) % 2, shared_site);
			break;
		case 2:
			mappings_move(hold(first, last), BASE + first * PAGE,
				      BASE + (base + 200) * PAGE, (last - first) * PAGE);
			break;
		default:
			map(first, last, shared_site, MAPPINGS_C, rand_r(&seed) % 2);
		}
	}
	return NULL;
}

/* In use is never negative, and a copy is in order, at any moment. */
static void *watch(void *arg)
{
	while (!LOAD(&done)) {
		struct scratch scratch = SCRATCH_INIT(4 * MIB);
		const struct site *s = site_at(shared_site);
		struct mappings_range *list;
		uint64_t freed = LOAD_ACQ(&s->free_bytes_fx);
		CHECK(LOAD(&s->alloc_bytes_fx) >= freed);
		long n = mappings_copy(&scratch, &list);
		for (long i = 1; i < n; i++)
			CHECK(list[i - 1].end <= list[i].start);
		scratch_release(&scratch);
	}
	return arg;
}

static void threads_agree(void)
{
	pthread_t threads[THREADS], watcher;

	CHECK(region_init(8 * MIB) == 0);
	shared_site = site_number(0);
	CHECK(pthread_create(&watcher, NULL, watch, NULL) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	STORE(&done, true);
	CHECK(pthread_join(watcher, NULL) == 0);
	check_sum(shared_site);
	unmap(0, 100000);
	CHECK(in_use_is(shared_site, 0, 0) && mappings_counters().ranges == 0);
}
CASE(threads_agree)

/* ---- signals and fork ------------------------------------------------- */

static void on_alarm(int signal)
{
	(void)signal;
	map(500, 510, shared_site, MAPPINGS_C, MAPPINGS_USABLE);
	unmap(500, 510);
}

/* A handler that maps while its thread is in the table of mappings is refused, and nothing
 * hangs. */
static void a_signal_handler_does_not_wait_for_itself(void)
{
	struct itimerval every = {.it_interval.tv_usec = 50, .it_value.tv_usec = 50};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

	CHECK(region_init(8 * MIB) == 0);
	shared_site = site_number(0);
	CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
	for (uint64_t i = 0; mappings_counters().interrupted < 3; i++) {
		map(i % 64, i % 64 + 8, shared_site, MAPPINGS_C, MAPPINGS_USABLE);
		unmap(i % 60, i % 60 + 2);
	}
	every = (struct itimerval){.it_interval.tv_usec = 0};
	CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
	check_sum(shared_site);
	unmap(0, 1000);
	CHECK(in_use_is(shared_site, 0, 0));
}
CASE(a_signal_handler_does_not_wait_for_itself)

static void *map_for_ever(void *arg)
{
	for (uint64_t i = 0;; i++)
		map(i % 64, i % 64 + 8, shared_site, MAPPINGS_C, MAPPINGS_USABLE);
	return arg;
}

/* The lock may be held by a thread that does not exist in the child. */
static void a_child_of_fork_does_not_wait(void)
{
	pthread_t thread;
	int status;

	CHECK(region_init(8 * MIB) == 0);
	shared_site = site_number(0);
	CHECK(pthread_create(&thread, NULL, map_for_ever, NULL) == 0);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			struct mappings_range r;
			mappings_after_fork_in_child();
			mappings_find(0, &r);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
}
CASE(a_child_of_fork_does_not_wait)

#define T(name) cmocka_unit_test(test_##name)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_mapping_counts_until_it_is_unmapped),
		T(lengths_are_rounded_to_pages),
		T(the_object_goes_with_its_last_piece),
		T(one_piece_stands_for_the_object),
		T(a_new_range_takes_the_place_of_old_ones),
		T(a_reservation_counts_as_it_is_committed),
		T(what_one_call_commits_is_one_object),
		T(protection_that_changes_nothing_cuts_nothing),
		T(what_is_not_c_is_not_counted),
		T(what_says_the_same_is_one_range),
		T(what_is_held_can_be_put_back),
		T(what_is_held_can_move),
		T(a_stack_counts_while_its_thread_runs),
		T(a_stack_stays_its_creators),
		T(reconciling_forgets_what_is_not_mapped),
		T(a_full_pool_refuses_and_recovers),
		T(the_tree_stays_shallow),
		T(agrees_with_a_model_and_the_kernel),
		T(threads_agree),
		T(a_signal_handler_does_not_wait_for_itself),
		T(a_child_of_fork_does_not_wait),
	};
	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
