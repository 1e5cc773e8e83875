/* Interned stacks, their sites and figures, and what readers make of them. */
#include "child.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "region/cells.h"
#include "record/labelsets.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/stacks.h"

static struct capture stack_of(uint64_t seed, uint32_t count)
{
	struct capture c = {.count = count};
	for (uint32_t i = 0; i < count; i++)
		c.frames[i] = seed * 1000 + i;
	return c;
}

static uint32_t stack_id(const struct capture *c)
{
	uint32_t site = stacks_site(c, 8, ORIGIN_MALLOC);
	CHECK(site);
	return site_at(site)->stack;
}

static struct weight whole(uint64_t objects, uint64_t bytes)
{
	return (struct weight){objects << WEIGHT_OBJECT_BITS, bytes << WEIGHT_BYTE_BITS};
}

static const struct tally *tally_of(const struct snapshot *s, uint32_t site)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->tallies[i].site == site)
			return &s->tallies[i];
	return NULL;
}

static bool tally_equals(const struct tally *t, int64_t ao, int64_t ab, int64_t io, int64_t ib)
{
	return t && t->alloc_objects == ao && t->alloc_bytes == ab && t->inuse_objects == io &&
	       t->inuse_bytes == ib;
}

/* ---- interning ----------------------------------------------------------- */

static void equal_stacks_are_one(void)
{
	struct capture a = stack_of(1, 20), b = stack_of(1, 20);

	CHECK(region_init(8 * MIB) == 0);
	b.frames[20] = 99; /* past the end, so not part of it */
	uint32_t id = stack_id(&a);
	CHECK(stack_id(&b) == id && stacks_count() == 1 && stacks_site_count() == 1);
	CHECK(stack_at(id)->frame_count == 20 && stack_at(id)->end == 0);
	CHECK(memcmp(stack_at(id)->frames, a.frames, 20 * 8) == 0);
}

/* Readers rely on neither, but are slow without. */
static void snapshots_follow_memory(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct snapshot s;
	int64_t bytes = 0;

	CHECK(region_init(8 * MIB) == 0 && stacks_init() == 0);
	for (uint64_t size = 1; size <= 3; size++)
		for (uint64_t i = 0; i < 200; i++) {
			struct capture c = stack_of(i * 7919, 1 + i % 40);
			site_add_alloc(site_at(stacks_site(&c, size * i, ORIGIN_MALLOC)),
				       whole(1, size * i));
			bytes += (int64_t)(size * i);
		}
	CHECK(stacks_snapshot(&scratch, 0, &s) == 0);
	CHECK(s.count >= 597);
	for (size_t i = 0; i < s.count; i++) {
		CHECK(s.tallies[i].stack == site_at(s.tallies[i].site)->stack);
		CHECK(i == 0 || s.tallies[i].stack > s.tallies[i - 1].stack ||
		      (s.tallies[i].stack == s.tallies[i - 1].stack &&
		       s.tallies[i].site > s.tallies[i - 1].site));
		bytes -= s.tallies[i].inuse_bytes;
	}
	CHECK(bytes == 0);
	scratch_release(&scratch);
}

CASE(equal_stacks_are_one)

static void different_stacks_are_not(void)
{
	struct capture all[] = {stack_of(1, 20),  stack_of(1, 20), stack_of(1, 20),
				stack_of(1, 19),  stack_of(2, 20), stack_of(1, 0),
				stack_of(1, 128), stack_of(1, 20), stack_of(1, 20)};

	CHECK(region_init(8 * MIB) == 0);
	all[0].end = CAPTURE_NO_CFI;
	all[1].omitted_at = 5;
	all[2].frames[19]++;
	all[7].labels = 100; /* an id */
	all[8].labels = 101;
	for (size_t i = 0; i < COUNT_OF(all); i++)
		CHECK(stack_id(&all[i]) != 0);
	CHECK(stacks_count() == COUNT_OF(all));
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		const struct stack *s = stack_at(stack_id(&all[i]));
		CHECK(s->end == all[i].end && s->omitted_at == all[i].omitted_at &&
		      s->frame_count == all[i].count && s->labels == all[i].labels);
	}
	CHECK(stacks_count() == COUNT_OF(all));
}
CASE(different_stacks_are_not)

static void sites_are_by_size_and_origin(void)
{
	struct capture c = stack_of(1, 3);

	CHECK(region_init(8 * MIB) == 0);
	uint32_t a = stacks_site(&c, 8, ORIGIN_MALLOC), b = stacks_site(&c, 9, ORIGIN_MALLOC),
		 m = stacks_site(&c, 8, ORIGIN_MMAP), z = stacks_site(&c, 0, ORIGIN_MALLOC);
	CHECK(a && b && m && z && a != b && a != m && b != m && z != a);
	CHECK(stacks_site(&c, 8, ORIGIN_MALLOC) == a && stacks_site(&c, 8, ORIGIN_MMAP) == m);
	CHECK(site_at(a)->stack == site_at(m)->stack &&
	      stack_at(site_at(a)->stack)->site_count == 4);
	CHECK(site_at(z)->size == 0 && !site_at(z)->mixed && site_at(m)->origin == ORIGIN_MMAP);
	CHECK(stacks_site_count() == 4 && stacks_count() == 1);
}
CASE(sites_are_by_size_and_origin)

static void too_many_sizes_are_mixed(void)
{
	struct capture c = stack_of(1, 3), other = stack_of(2, 3);
	uint32_t mixed, zero;

	CHECK(region_init(8 * MIB) == 0);
	zero = stacks_site(&c, 0, ORIGIN_MALLOC);
	for (uint64_t size = 1; size < STACK_MAX_SIZES; size++)
		CHECK(!site_at(stacks_site(&c, size, ORIGIN_MALLOC))->mixed);
	mixed = stacks_site(&c, 1000, ORIGIN_MALLOC);
	CHECK(mixed && mixed != zero && site_at(mixed)->mixed && site_at(mixed)->size == 0);
	CHECK(stacks_site(&c, 1001, ORIGIN_MALLOC) == mixed);
	CHECK(stacks_site(&c, 1001, ORIGIN_MMAP) != mixed);
	CHECK(stacks_site(&c, 0, ORIGIN_MALLOC) == zero);
	CHECK(!site_at(stacks_site(&c, 63, ORIGIN_MALLOC))->mixed);
	CHECK(!site_at(stacks_site(&other, 1001, ORIGIN_MALLOC))->mixed);
	CHECK(stack_at(site_at(mixed)->stack)->site_count == STACK_MAX_SIZES + 2);
}
CASE(too_many_sizes_are_mixed)

static void a_full_arena_keeps_the_old_and_has_a_site_for_the_new(void)
{
	uint64_t n = 0;
	struct capture c, first = stack_of(0, 60);
	uint32_t site, kept, mixed, last;

	CHECK(region_init(4 * MIB) == 0 && stacks_init() == 0);
	kept = stacks_site(&first, 8, ORIGIN_MALLOC);
	do {
		c = stack_of(++n, 60);
		site = stacks_site(&c, 8, ORIGIN_MALLOC);
		CHECK(site);
	} while (stack_at(site_at(site)->stack)->frame_count);
	last = site;
	CHECK(n > 500 && stacks_site(&first, 8, ORIGIN_MALLOC) == kept);
	for (enum origin origin = 0; origin < ORIGIN_COUNT; origin++) {
		c = stack_of(++n, 60);
		c.labels = (uint32_t)origin;
		site = stacks_site(&c, 8, origin);
		CHECK(site_at(site)->origin == origin && site_at(site)->mixed);
		CHECK(site_at(site)->stack == site_at(last)->stack);
	}
	CHECK(stack_at(site_at(last)->stack)->end == CAPTURE_NO_ROOM);
	/* Sizes without room for a site share one, if there is room for that. */
	for (uint64_t size = 9; size < 50; size++) {
		mixed = stacks_site(&first, size, ORIGIN_MALLOC);
		CHECK(site_at(mixed)->size == size || site_at(mixed)->mixed);
	}
	CHECK(stacks_site(&first, 8, ORIGIN_MALLOC) == kept);
}
CASE(a_full_arena_keeps_the_old_and_has_a_site_for_the_new)

/* Labels that never repeat multiply stacks: stacks without labels must still find room. */
static void stacks_under_labels_do_not_take_all_room(void)
{
	struct capture c = stack_of(1, 60), plain = stack_of(2, 60);
	uint64_t n = 0, used;
	uint32_t site, bare = 0;

	CHECK(region_init(8 * MIB) == 0);
	do {
		c.labels = (uint32_t)++n;
		site = stacks_site(&c, 8, ORIGIN_MALLOC);
		CHECK(site);
	} while (stack_at(site_at(site)->stack)->labels == n);
	used = cells_used_bytes();
	CHECK(n > 1000 && used <= region_layout.arena.bytes / 2 + 4096);
	CHECK(labelsets_counters().dropped == 1);
	CHECK(stack_at(site_at(site)->stack)->labels == 0);
	/* From now on all new sets share one stack without labels; known sets keep theirs. */
	c.labels = (uint32_t)n + 1;
	CHECK(stacks_site(&c, 8, ORIGIN_MALLOC) == site && labelsets_counters().dropped == 2);
	c.labels = 0;
	CHECK(stacks_site(&c, 8, ORIGIN_MALLOC) == site);
	c.labels = 1;
	CHECK(stack_at(site_at(stacks_site(&c, 8, ORIGIN_MALLOC))->stack)->labels == 1);
	/* Another size under known labels needs room too; the rest is enough for some sites. */
	for (uint64_t size = 9; labelsets_counters().dropped == 2; size++) {
		CHECK(size < 1000);
		bare = stacks_site(&c, size, ORIGIN_MALLOC);
	}
	CHECK(stack_at(site_at(bare)->stack)->labels == 0);
	CHECK(stacks_site(&plain, 8, ORIGIN_MALLOC));
}
CASE(stacks_under_labels_do_not_take_all_room)

/* ---- many threads --------------------------------------------------------- */

#define THREADS 2
#define STACKS  5000
#define ROUNDS  10

/* Releases all at once: a spinning barrier, because waking threads would separate them. */
static void line_up(uint64_t *arrived, uint64_t threads)
{
	uint64_t turn = ADD(arrived, 1) / threads;
	while (LOAD(arrived) < (turn + 1) * threads)
		sched_yield();
}

static uint64_t arrived;

/* All threads create each new stack and each new site at about the same time. */
static void *intern_all(void *arg)
{
	for (uint64_t r = 0; r < ROUNDS; r++)
		for (uint64_t n = 0; n < STACKS; n++) {
			struct capture c = stack_of(n, 1 + n % 40);
			if (r < 2)
				line_up(&arrived, THREADS);
			uint32_t site = stacks_site(&c, 8 * (1 + r % 5), ORIGIN_MALLOC);
			CHECK(site && site_at(site)->size == 8 * (1 + r % 5));
			struct weight w = sample_weight(8 * (1 + r % 5), 1);
			site_add_alloc(site_at(site), w);
			if (r % 2)
				site_add_free(site_at(site), w);
		}
	return arg;
}

static void no_stack_or_site_is_ever_twice(void)
{
	struct scratch scratch = SCRATCH_INIT(16 * MIB);
	struct snapshot s;
	pthread_t threads[THREADS];
	int64_t objects = 0, inuse = 0;

	CHECK(region_init(64 * MIB) == 0);
	for (int t = 0; t < THREADS; t++)
		CHECK(!pthread_create(&threads[t], NULL, intern_all, NULL));
	for (int t = 0; t < THREADS; t++)
		CHECK(!pthread_join(threads[t], NULL));
	CHECK(stacks_count() == STACKS && stacks_site_count() == STACKS * 5);
	CHECK(stacks_snapshot(&scratch, 0, &s) == 0 && s.count == STACKS * 5);
	for (size_t i = 0; i < s.count; i++) {
		CHECK(s.tallies[i].alloc_objects == THREADS * ROUNDS / 5);
		objects += s.tallies[i].alloc_objects;
		inuse += s.tallies[i].inuse_objects;
	}
	CHECK(objects == THREADS * ROUNDS * STACKS && inuse == objects / 2);
	scratch_release(&scratch);
}
CASE(no_stack_or_site_is_ever_twice)

static bool stop;
static void *allocate_and_free(void *arg)
{
	struct site *s = arg;
	while (!LOAD(&stop)) {
		site_add_alloc(s, sample_weight(100, 1));
		site_add_free(s, sample_weight(100, 1));
	}
	return NULL;
}

static void in_use_is_never_negative(void)
{
	struct capture c = stack_of(1, 3);
	pthread_t threads[2];

	CHECK(region_init(8 * MIB) == 0);
	uint32_t site = stacks_site(&c, 100, ORIGIN_MALLOC);
	for (int t = 0; t < 2; t++)
		CHECK(!pthread_create(&threads[t], NULL, allocate_and_free, site_at(site)));
	for (int n = 0; n < 2000; n++) {
		struct scratch scratch = SCRATCH_INIT(MIB);
		struct snapshot s;
		CHECK(stacks_snapshot(&scratch, 0, &s) == 0);
		if (s.count)
			CHECK(s.tallies[0].inuse_objects >= 0 && s.tallies[0].inuse_bytes >= 0);
		scratch_release(&scratch);
	}
	STORE(&stop, true);
	for (int t = 0; t < 2; t++)
		CHECK(!pthread_join(threads[t], NULL));
}
CASE(in_use_is_never_negative)

/* ---- snapshots ------------------------------------------------------------ */

#define STABLE 3000
#define BORN   200000

static uint64_t born_now;

static void *be_born(void *arg)
{
	for (uint64_t n = 0; n < BORN && !LOAD(&stop); n++) {
		struct capture c = stack_of(STABLE + n, 20);
		uint32_t site = stacks_site(&c, 64, ORIGIN_MALLOC);
		CHECK(site);
		site_add_alloc(site_at(site), whole(1, 64));
		site_add_free(site_at(site), whole(1, 64));
		STORE(&born_now, n + 1);
	}
	return arg;
}

/* Sites created during a snapshot displace none, and growth is never negative. */
static void a_snapshot_is_complete_while_sites_are_born(void)
{
	struct snapshot s[2];
	pthread_t thread;

	CHECK(region_init(256 * MIB) == 0);
	for (uint64_t n = 0; n < STABLE; n++) {
		struct capture c = stack_of(n, 20);
		site_add_alloc(site_at(stacks_site(&c, 100, ORIGIN_MALLOC)), whole(1, 100));
	}
	CHECK(!pthread_create(&thread, NULL, be_born, NULL));
	for (int n = 0; n < 100 && LOAD(&born_now) < BORN; n++) {
		struct scratch scratch = SCRATCH_INIT(128 * MIB);
		struct snapshot growth;
		uint64_t before = LOAD(&born_now);
		for (int i = 0; i < 2; i++) {
			int64_t bytes = 0;
			CHECK(stacks_snapshot(&scratch, 0, &s[i]) == 0 && !scratch.exhausted);
			CHECK(s[i].count >= STABLE + before);
			for (size_t t = 0; t < s[i].count; t++)
				bytes += s[i].tallies[t].inuse_bytes;
			CHECK(bytes >= STABLE * 100 && bytes <= STABLE * 100 + 64);
		}
		CHECK(stacks_difference(&scratch, &s[0], &s[1], &growth) == 0);
		for (size_t t = 0; t < growth.count; t++)
			CHECK(growth.tallies[t].alloc_bytes >= 0 &&
			      growth.tallies[t].inuse_bytes >= -64);
		scratch_release(&scratch);
	}
	STORE(&stop, true);
	CHECK(!pthread_join(thread, NULL) && born_now > 1000);
}
CASE(a_snapshot_is_complete_while_sites_are_born)

/* A site may live for years, and freed must still equal allocated. */
static void totals_do_not_wrap(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot s;
	struct site *site;

	CHECK(region_init(8 * MIB) == 0);
	site = site_at(stacks_site(&c, 0, ORIGIN_MMAP));
	for (int n = 0; n < 1000; n++) {
		site_add_alloc(site, whole(UINT64_C(1) << 43, UINT64_C(1) << 53));
		site_add_free(site, whole(UINT64_C(1) << 43, UINT64_C(1) << 53));
		CHECK(site_allocated(site).bytes_fx >> 61 == (unsigned)n + 1);
		CHECK(site_allocated(site).objects_fx >> 59 == (unsigned)n + 1);
	}
	site_add_alloc(site, whole(1, 7));
	CHECK(stacks_snapshot(&scratch, 0, &s) == 0 && s.count == 1);
	CHECK(tally_equals(&s.tallies[0], (INT64_C(1000) << 43) + 1, (INT64_C(1000) << 53) + 7, 1,
			   7));
	/* The top bit shows a turn that is not counted yet. */
	site->alloc_bytes_turns--;
	CHECK(site_allocated(site).bytes_fx >> WEIGHT_BYTE_BITS ==
	      ((unsigned __int128)1000 << 53) + 7);
	for (int n = 0; n < 100; n++) /* a figure above what pprof can hold becomes its maximum */
		site_add_alloc(site, whole(1, UINT64_C(1) << 54));
	site->alloc_bytes_turns = UINT16_MAX - 1;
	CHECK(stacks_snapshot(&scratch, 0, &s) == 0);
	CHECK(s.tallies[0].alloc_bytes == INT64_MAX);
	scratch_release(&scratch);
}
CASE(totals_do_not_wrap)

static void a_snapshot_rounds_and_leaves_out_zeros(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot s;

	CHECK(region_init(8 * MIB) == 0);
	uint32_t a = stacks_site(&c, 8, ORIGIN_MALLOC), b = stacks_site(&c, 9, ORIGIN_MMAP);
	stacks_site(&c, 10, ORIGIN_MALLOC);
	site_add_alloc(site_at(a), whole(3, 24));
	site_add_free(site_at(a), whole(1, 8));
	/* 2.5 objects and 3.75 bytes, then half an object less: 2 and 3.25. */
	site_add_alloc(site_at(b), (struct weight){5 << 15, 15 << 6});
	site_add_free(site_at(b), (struct weight){1 << 15, 1 << 7});
	uint64_t before = clock_monotonic_ns();
	CHECK(stacks_snapshot(&scratch, 0, &s) == 0 && s.count == 2);
	CHECK(s.time_ns >= before && s.time_ns <= clock_monotonic_ns());
	CHECK(tally_equals(tally_of(&s, a), 3, 24, 2, 16));
	CHECK(tally_equals(tally_of(&s, b), 3, 4, 2, 3));
	scratch_release(&scratch);
}
CASE(a_snapshot_rounds_and_leaves_out_zeros)

static void weights_cancel_exactly(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot s;

	CHECK(region_init(8 * MIB) == 0);
	uint32_t site = stacks_site(&c, 0, ORIGIN_MALLOC);
	for (int n = 0; n < 10000; n++)
		site_add_alloc(site_at(site), sample_weight((uint64_t)n + 1, 4096));
	for (int n = 9999; n >= 0; n--)
		site_add_free(site_at(site), sample_weight((uint64_t)n + 1, 4096));
	CHECK(site_at(site)->alloc_bytes_fx == site_at(site)->free_bytes_fx);
	CHECK(stacks_snapshot(&scratch, 0, &s) == 0 && s.count == 1);
	CHECK(s.tallies[0].inuse_objects == 0 && s.tallies[0].inuse_bytes == 0);
	CHECK(s.tallies[0].alloc_objects > 10000);
	scratch_release(&scratch);
}
CASE(weights_cancel_exactly)

static void objects_of_one_size_follow_from_bytes(void)
{
	static const uint64_t sizes[] = {1, 24, 4095, UINT64_C(1) << 40};
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot s;

	CHECK(region_init(8 * MIB) == 0);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct weight w = sample_weight(sizes[i], 4096);
		uint32_t id = stacks_site(&c, sizes[i], ORIGIN_MALLOC);
		for (int n = 0; n < 1000; n++)
			site_add_alloc(site_at(id), w);
		for (int n = 0; n < 400; n++)
			site_add_free(site_at(id), w);
		CHECK(site_block_bytes(site_at(id)) == sizes[i]);
		CHECK(stacks_snapshot(&scratch, 0, &s) == 0);
		double one = (double)w.objects_fx / (1 << WEIGHT_OBJECT_BITS);
		CHECK(fabs((double)tally_of(&s, id)->alloc_objects - 1000 * one) <= 2);
		CHECK(fabs((double)tally_of(&s, id)->inuse_objects - 600 * one) <= 2);
	}
	scratch_release(&scratch);
}
CASE(objects_of_one_size_follow_from_bytes)

static void objects_without_a_size_are_counted(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot s;

	CHECK(region_init(8 * MIB) == 0);
	uint32_t none = stacks_site(&c, 0, ORIGIN_MALLOC), map = stacks_site(&c, 8, ORIGIN_MMAP);
	for (int n = 0; n < 3; n++) {
		site_add_alloc(site_at(none), whole(1, 0));
		site_add_alloc(site_at(map), whole(n == 0, 8));
	}
	site_add_free(site_at(none), whole(1, 0));
	site_add_free(site_at(map), whole(0, 8));
	CHECK(stacks_snapshot(&scratch, 0, &s) == 0);
	CHECK(tally_equals(tally_of(&s, none), 3, 0, 2, 0));
	CHECK(tally_equals(tally_of(&s, map), 1, 24, 1, 16));
	scratch_release(&scratch);
}
CASE(objects_without_a_size_are_counted)

/* A live block of the site, allocated `age` ticks ago. */
static void add_block(uint64_t address, uint32_t site, uint64_t size, uint32_t interval,
		      uint32_t age)
{
	struct live_block stale, b = {address, size, site, interval, live_tick_now() - age};
	CHECK(live_put(&b, &stale) == 0);
	site_add_alloc(site_at(site), sample_weight(size, interval));
}

static void by_age_only_old_live_blocks_count(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot s;

	CHECK(region_init(8 * MIB) == 0);
	region_layout.start_monotonic_ns -= 1000 * LIVE_TICK_NS; /* makes the shim as old as the
								  * blocks */
	uint32_t a = stacks_site(&c, 8, ORIGIN_MALLOC), b = stacks_site(&c, 16, ORIGIN_MALLOC),
		 y = stacks_site(&c, 24, ORIGIN_MALLOC);
	add_block(0x10, a, 8, 1, 600);
	add_block(0x20, a, 8, 1, 300);
	add_block(0x30, b, 1000, 4096, 300);
	add_block(0x40, y, 24, 1, 10);
	site_add_free(site_at(a), whole(0, 0));

	CHECK(stacks_snapshot(&scratch, 200 * LIVE_TICK_NS, &s) == 0 && s.count == 2);
	CHECK(tally_equals(tally_of(&s, a), 2, 16, 2, 16));
	struct weight w = sample_weight(1000, 4096);
	int64_t objects = (int64_t)(w.objects_fx + (1 << 15)) >> 16;
	int64_t bytes = (int64_t)(w.bytes_fx + (1 << 7)) >> 8;
	CHECK(tally_equals(tally_of(&s, b), objects, bytes, objects, bytes));

	CHECK(stacks_snapshot(&scratch, 500 * LIVE_TICK_NS, &s) == 0 && s.count == 1);
	CHECK(tally_equals(tally_of(&s, a), 1, 8, 1, 8));
	CHECK(stacks_snapshot(&scratch, 1, &s) == 0 && s.count == 3);
	CHECK(stacks_snapshot(&scratch, 5000 * LIVE_TICK_NS, &s) == 0 && s.count == 0);
	CHECK(stacks_snapshot(&scratch, UINT64_MAX, &s) == 0 && s.count == 0);
	scratch_release(&scratch);
}
CASE(by_age_only_old_live_blocks_count)

/* Mappings are not samples: they are in no table of live blocks, but have an age as well. */
static void by_age_old_mappings_count(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot s;

	CHECK(region_init(8 * MIB) == 0);
	region_layout.start_monotonic_ns -= 1000 * LIVE_TICK_NS;
	struct mappings_range r = {.start = 1 << 20,
				   .end = (1 << 20) + 4 * PAGE_BYTES,
				   .site = stacks_site(&c, 4 * PAGE_BYTES, ORIGIN_MMAP),
				   .tick = live_tick_now() - 300,
				   .flags = MAPPINGS_USABLE};
	mappings_map(&r);
	r.start += MIB, r.end += MIB, r.tick += 290;
	mappings_map(&r);
	/* A reservation, and a part of it that was committed just now. */
	r.start += MIB, r.end += MIB, r.tick -= 290, r.flags = 0;
	mappings_map(&r);
	mappings_protect(r.start, PAGE_BYTES, true, r.site);
	/* Of the old one: two pieces, one object. */
	mappings_drop(mappings_hold((1 << 20) + PAGE_BYTES, PAGE_BYTES));

	CHECK(stacks_snapshot(&scratch, 0, &s) == 0 && s.count == 1);
	CHECK(tally_equals(&s.tallies[0], 3, 9 * PAGE_BYTES, 3, 8 * PAGE_BYTES));
	CHECK(stacks_snapshot(&scratch, 200 * LIVE_TICK_NS, &s) == 0 && s.count == 1);
	CHECK(tally_equals(&s.tallies[0], 1, 3 * PAGE_BYTES, 1, 3 * PAGE_BYTES));
	CHECK(stacks_snapshot(&scratch, 500 * LIVE_TICK_NS, &s) == 0 && s.count == 0);
	scratch_release(&scratch);
}
CASE(by_age_old_mappings_count)

static void a_difference_is_growth(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot before, after, d;

	CHECK(region_init(8 * MIB) == 0);
	uint32_t grows = stacks_site(&c, 8, ORIGIN_MALLOC),
		 same = stacks_site(&c, 9, ORIGIN_MALLOC),
		 shrinks = stacks_site(&c, 10, ORIGIN_MALLOC), fresh;
	site_add_alloc(site_at(grows), whole(1, 8));
	site_add_alloc(site_at(same), whole(4, 36));
	site_add_alloc(site_at(shrinks), whole(4, 40));
	CHECK(stacks_snapshot(&scratch, 0, &before) == 0);
	site_add_alloc(site_at(grows), whole(2, 16));
	site_add_free(site_at(shrinks), whole(3, 30));
	fresh = stacks_site(&c, 11, ORIGIN_MALLOC);
	site_add_alloc(site_at(fresh), whole(1, 11));
	CHECK(stacks_snapshot(&scratch, 0, &after) == 0);

	CHECK(stacks_difference(&scratch, &before, &after, &d) == 0 && d.count == 3);
	CHECK(d.time_ns == after.time_ns);
	CHECK(tally_equals(tally_of(&d, grows), 2, 16, 2, 16));
	CHECK(tally_equals(tally_of(&d, shrinks), 0, 0, -3, -30));
	CHECK(tally_equals(tally_of(&d, fresh), 1, 11, 1, 11));
	/* The other way round, a site is only in the first: as when blocks by age are gone. */
	CHECK(stacks_difference(&scratch, &after, &before, &d) == 0 && d.count == 3);
	CHECK(tally_equals(tally_of(&d, fresh), -1, -11, -1, -11));
	scratch_release(&scratch);
}
CASE(a_difference_is_growth)

static void a_reader_without_memory_is_told(void)
{
	struct scratch none = SCRATCH_INIT(0), some = SCRATCH_INIT(MIB);
	struct capture c = stack_of(1, 3);
	struct snapshot s, d;

	CHECK(region_init(8 * MIB) == 0);
	site_add_alloc(site_at(stacks_site(&c, 8, ORIGIN_MALLOC)), whole(1, 8));
	CHECK(stacks_snapshot(&none, 0, &s) == -1 && none.exhausted && s.count == 0);
	CHECK(stacks_snapshot(&none, 5, &s) == -1);
	CHECK(stacks_snapshot(&some, 0, &s) == 0);
	CHECK(stacks_difference(&none, &s, &s, &d) == -1);
	scratch_release(&some);
}
CASE(a_reader_without_memory_is_told)

/* The README's figure: 10,000 live samples on 1,000 stacks. */
static void ten_thousand_samples_fit_in_their_share(void)
{
	CHECK(region_init(32 * MIB) == 0);
	for (uint64_t n = 0; n < 10000; n++) {
		struct capture c = stack_of(n % 1000, 60);
		add_block(0x7f0000000000 + n * 4096, stacks_site(&c, 64 + n % 3, ORIGIN_MALLOC),
			  64 + n % 3, 1, 0);
	}
	CHECK(stacks_count() == 1000 && live_count() == 10000);
	CHECK(region_resident_bytes() < 3 * MIB);
}
CASE(ten_thousand_samples_fit_in_their_share)
CASE(snapshots_follow_memory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_stacks_are_one),
		cmocka_unit_test(test_different_stacks_are_not),
		cmocka_unit_test(test_sites_are_by_size_and_origin),
		cmocka_unit_test(test_too_many_sizes_are_mixed),
		cmocka_unit_test(test_a_full_arena_keeps_the_old_and_has_a_site_for_the_new),
		cmocka_unit_test(test_stacks_under_labels_do_not_take_all_room),
		cmocka_unit_test(test_no_stack_or_site_is_ever_twice),
		cmocka_unit_test(test_in_use_is_never_negative),
		cmocka_unit_test(test_a_snapshot_is_complete_while_sites_are_born),
		cmocka_unit_test(test_totals_do_not_wrap),
		cmocka_unit_test(test_a_snapshot_rounds_and_leaves_out_zeros),
		cmocka_unit_test(test_weights_cancel_exactly),
		cmocka_unit_test(test_objects_of_one_size_follow_from_bytes),
		cmocka_unit_test(test_objects_without_a_size_are_counted),
		cmocka_unit_test(test_by_age_only_old_live_blocks_count),
		cmocka_unit_test(test_by_age_old_mappings_count),
		cmocka_unit_test(test_a_difference_is_growth),
		cmocka_unit_test(test_a_reader_without_memory_is_told),
		cmocka_unit_test(test_ten_thousand_samples_fit_in_their_share),
		cmocka_unit_test(test_snapshots_follow_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
