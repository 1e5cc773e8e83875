/* Marks, and what of each interval still lives, on a clock that stands still between steps. */
#include "child.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "region/cells.h"
#include "record/cohorts.h"
#include "record/control.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/pins.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "record/stacks_reclaim.h"

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define START  (1000 * DAY)

static uint64_t now_ns = START; /* threads read it too */

uint64_t __wrap_clock_ns(clockid_t clock);
uint64_t __wrap_clock_ns(clockid_t clock)
{
	(void)clock;
	return LOAD(&now_ns);
}

static void begin(size_t bytes)
{
	CHECK(region_init(bytes) == 0 && stacks_init() == 0);
	CHECK(region_layout.start_monotonic_ns == START);
	control_init(&(struct control_start){.sample_bytes = 1});
}

/* The server's loop, for so long. */
static void run(uint64_t ns)
{
	for (uint64_t end = now_ns + ns, wait; now_ns < end; now_ns += wait) {
		wait = cohorts_tick();
		wait = wait < end - now_ns ? wait : end - now_ns;
		CHECK(wait > 0);
	}
	cohorts_tick();
}

/* ---- blocks ------------------------------------------------------------- */

static uint32_t ids[4096]; /* of stacks, by their number here */

static uint32_t site_of(uint64_t stack, uint64_t size, enum origin origin)
{
	struct capture c = {.count = 2,
			    .end = CAPTURE_COMPLETE_THREAD,
			    .frames = {0x1000, 0x10000 + 16 * stack}};
	uint32_t pin = pins_enter(), site = stacks_site(&c, size, origin);

	pins_leave(pin);
	CHECK(site);
	ids[stack] = site_at(site)->stack;
	return site;
}

static uint32_t tick_now(void)
{
	return (uint32_t)((now_ns - START) / LIVE_TICK_NS);
}

static uint64_t next_address = 0x100000;

static struct live_block block_of(uint64_t stack, uint64_t size, uint32_t interval)
{
	next_address += 64;
	return (struct live_block){.address = next_address,
				   .size = size,
				   .site = site_of(stack, size, ORIGIN_MALLOC),
				   .interval = interval,
				   .tick = tick_now()};
}

static void put(const struct live_block *b)
{
	struct live_block stale;

	CHECK(live_put(b, &stale) == 0);
}

static void count(const struct live_block *b)
{
	site_add_alloc(site_at(b->site), sample_weight(b->size, b->interval));
}

static uint64_t allocate(uint64_t stack, uint64_t size, uint32_t interval)
{
	struct live_block b = block_of(stack, size, interval);

	put(&b);
	count(&b);
	return b.address;
}

static void release(uint64_t address)
{
	struct live_block b;

	CHECK(live_take((void *)address, &b));
	site_add_free(site_at(b.site), sample_weight(b.size, b.interval));
}

/* ---- what is read -------------------------------------------------------- */

static struct scratch scratch;
static struct cohorts now;

/* Also checks what always holds: no more lives than was allocated, and sums are the snapshot's. */
static void look(void)
{
	struct snapshot all;
	int64_t sum = 0, sum_objects = 0;

	scratch_release(&scratch);
	scratch = SCRATCH_INIT(64 * MIB);
	CHECK(cohorts_read(&scratch, &now) == 0 && !scratch.exhausted);
	CHECK(stacks_snapshot(&scratch, 0, &all) == 0);
	for (size_t i = 0; i < now.snapshot.count; i++) {
		const struct tally *t = &now.snapshot.tallies[i];
		bool is_older = t->age == now.count + 1;
		CHECK(t->age && t->age <= now.count + 1 && !tally_is_zero(t));
		CHECK(t->inuse_bytes >= 0 && t->inuse_objects >= 0);
		CHECK(is_older ? !t->alloc_bytes : t->inuse_bytes <= t->alloc_bytes);
		CHECK(is_older ? !t->alloc_objects : t->inuse_objects <= t->alloc_objects);
	}
	for (size_t i = 0; i < all.count; i++) {
		const struct tally *t = &all.tallies[i];
		sum += t->inuse_bytes;
		sum_objects += t->inuse_objects;
		if (i + 1 < all.count && t[1].stack == t->stack)
			continue;
		for (size_t j = 0; j < now.snapshot.count; j++)
			if (now.snapshot.tallies[j].stack == t->stack) {
				sum -= now.snapshot.tallies[j].inuse_bytes;
				sum_objects -= now.snapshot.tallies[j].inuse_objects;
			}
		CHECK(sum == 0 && sum_objects == 0);
	}
}

/* Of that stack in what was allocated so many seconds ago; UINT64_MAX: of no age. */
static struct tally share(uint64_t stack, uint64_t seconds_ago)
{
	uint64_t ago = seconds_ago * SECOND;
	struct tally none = {0};
	uint32_t age = now.count + 1;

	for (uint32_t i = 0; i < now.count && seconds_ago != UINT64_MAX; i++)
		if (now.list[i].from_ns <= ago && ago < now.list[i].to_ns)
			age = i + 1;
	for (size_t i = 0; i < now.snapshot.count; i++)
		if (now.snapshot.tallies[i].stack == ids[stack] &&
		    now.snapshot.tallies[i].age == age)
			return now.snapshot.tallies[i];
	return none;
}

/* ---- marks --------------------------------------------------------------- */

static uint64_t most_ns(uint64_t age)
{
	uint64_t hour = HOUR;

	if (age < HOUR)
		return age < MINUTE ? 5 * SECOND : age < 10 * MINUTE ? MINUTE : 5 * MINUTE;
	while (2 * hour <= age)
		hour *= 2;
	return hour;
}

static void check_intervals(uint64_t times)
{
	CHECK(now.list[0].from_ns == 0 && now.list[now.count - 1].to_ns == now_ns - START);
	for (uint32_t i = 0; i < now.count; i++) {
		uint64_t from = now.list[i].from_ns, to = now.list[i].to_ns;
		CHECK(i + 1 == now.count || to == now.list[i + 1].from_ns);
		if ((from >= to && i) || to - from > times * most_ns(from))
			fprintf(stderr, "%" PRIu64 " to %" PRIu64 " s after %" PRIu64 " s\n",
				from / SECOND, to / SECOND, (now_ns - START) / SECOND);
		CHECK((from < to || !i) && to - from <= times * most_ns(from));
	}
}

/* The resolution that is promised, at any moment of three weeks. */
static void marks_keep_their_resolution_for_weeks(void)
{
	begin(4 * MIB);
	for (uint32_t i = 1; now_ns < START + 21 * DAY; i++) {
		run(5 * SECOND);
		if (i > 1500 && i % 977)
			continue;
		now_ns += i % 50 * SECOND / 10; /* looks come between two marks */
		look();
		check_intervals(1);
		now_ns -= i % 50 * SECOND / 10;
	}
	CHECK(cohorts_counters().marks > 40);
}
CASE(marks_keep_their_resolution_for_weeks)

/* Marks at any time, and years: intervals may be twice as long. */
static void marks_at_odd_times_keep_it_for_years(void)
{
	uint64_t seed = 1;

	begin(4 * MIB);
	for (uint32_t i = 0; i < 30000; i++) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		now_ns += i % 1000 < 900 ? SECOND + (seed >> 1) % (9 * SECOND)
					 : (seed >> 1) % (20 * HOUR);
		cohorts_tick();
		CHECK(cohorts_counters().marks <= COHORTS_MARKS);
	}
	CHECK(now_ns > START + 1000 * DAY);
	for (uint32_t i = 0; i < 3000; i++) {
		run(5 * SECOND + i % 7 * SECOND / 10);
		if (i < 1500 || i % 9)
			continue;
		look();
		for (uint32_t a = 0; a + 1 < now.count && now.list[a].from_ns < HOUR; a++)
			CHECK(now.list[a].to_ns - now.list[a].from_ns <=
			      2 * most_ns(now.list[a].from_ns));
	}
}
CASE(marks_at_odd_times_keep_it_for_years)

/* ---- figures -------------------------------------------------------------- */

/* Every block with its time: the truth. */
static struct truth {
	uint64_t address, stack, size, made_ns;
	bool is_live;
} truth[200000];
static uint32_t truths;

static void remember(uint64_t stack, uint64_t size)
{
	truth[truths++] = (struct truth){allocate(stack, size, 1), stack, size, now_ns, true};
}

static void compare_with_truth(uint64_t stack)
{
	struct tally is[COHORTS_MARKS + 1] = {0};

	for (uint32_t i = 0; i < truths; i++) {
		uint64_t ago = now_ns - truth[i].made_ns;
		uint32_t age = 0;
		if (truth[i].stack != stack)
			continue;
		/* An interval has its older end: a mark's blocks are older. */
		while (age + 1 < now.count && now.list[age].to_ns < ago)
			age++;
		is[age].alloc_objects++;
		is[age].alloc_bytes += (int64_t)truth[i].size;
		is[age].inuse_objects += truth[i].is_live;
		is[age].inuse_bytes += truth[i].is_live ? (int64_t)truth[i].size : 0;
	}
	for (uint32_t age = 0; age < now.count; age++) {
		struct tally t = share(stack, now.list[age].from_ns / SECOND);
		uint64_t middle = (now.list[age].from_ns + now.list[age].to_ns) / 2 / SECOND;
		t = share(stack, middle);
		CHECK(t.alloc_objects == is[age].alloc_objects);
		CHECK(t.alloc_bytes == is[age].alloc_bytes);
		CHECK(t.inuse_objects == is[age].inuse_objects);
		CHECK(t.inuse_bytes == is[age].inuse_bytes);
	}
}

/* A leak, a cache of the last 50, a churn and a warm-up, in two sizes each, over two hours. */
static void figures_are_exact_at_interval_1(void)
{
	enum { LEAK, CACHE, CHURN, WARM, STACKS };
	uint32_t cached = 0;

	begin(32 * MIB);
	now_ns += SECOND / 5;
	for (uint32_t i = 0; i < 100; i++)
		remember(WARM, 100 + i % 2);
	for (uint32_t step = 0; step < 7200; step++) {
		uint32_t first = truths;
		remember(LEAK, step % 3 ? 1024 : 10);
		for (uint32_t i = 0; i < 3; i++)
			remember(CACHE, 500 + step % 2);
		remember(CHURN, 4000 + step % 2);
		truth[truths - 1].is_live = false;
		release(truth[truths - 1].address);
		for (; cached < first; cached++)
			if (truth[cached].stack == CACHE && cached + 250 < first) {
				truth[cached].is_live = false;
				release(truth[cached].address);
			} else if (cached + 250 >= first) {
				break;
			}
		run(SECOND);
		if (step % 599 == 0 || step < 30) {
			now_ns += SECOND / 10;
			look();
			for (uint64_t stack = 0; stack < STACKS; stack++)
				compare_with_truth(stack);
			run(SECOND - SECOND / 10);
			step++;
		}
	}
	CHECK(share(LEAK, 30).alloc_bytes && share(WARM, UINT64_MAX).inuse_bytes == 0);
}
CASE(figures_are_exact_at_interval_1)

/* ---- next to a mark ------------------------------------------------------- */

static uint64_t seed = 42;

static uint64_t random_below(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (seed >> 33) % n;
}

static void check_all_lives(uint64_t stack)
{
	for (size_t i = 0; i < now.snapshot.count; i++) {
		const struct tally *t = &now.snapshot.tallies[i];
		CHECK(t->stack != ids[stack] || t->inuse_bytes == t->alloc_bytes);
		CHECK(t->stack != ids[stack] || t->inuse_objects == t->alloc_objects);
	}
}

/*
 * Hooks go on while a mark is made: it misses blocks that have their tick, and sees some whose tick
 * comes after it. What all lives must have lived in every interval.
 */
static void a_leak_is_whole_in_every_interval(void)
{
	static struct live_block late[64], early[64];

	begin(32 * MIB);
	for (uint32_t step = 0; step < 400; step++) {
		uint32_t lates = (uint32_t)random_below(64), earlies = (uint32_t)random_below(64);
		run(5 * SECOND - SECOND / 2);
		allocate(1, 1024, 1);
		release(allocate(2, 64, 1)); /* room in each interval of another stack */
		for (uint32_t i = 0; i < lates; i++) {
			late[i] = block_of(1, 16 + i, 1);
			put(&late[i]);
		}
		now_ns += SECOND / 2;
		for (uint32_t i = 0; i < earlies; i++) {
			early[i] = block_of(1, 16 + i, 1);
			put(&early[i]);
			count(&early[i]);
		}
		cohorts_tick();
		for (uint32_t i = 0; i < lates; i++)
			count(&late[i]);
		if (step % 7 == 0) {
			look();
			check_all_lives(1);
		}
	}
	run(SECOND);
	look();
	check_all_lives(1);
	CHECK(share(1, UINT64_MAX).inuse_bytes == 0 && share(1, 30).alloc_bytes > 1024);
}
CASE(a_leak_is_whole_in_every_interval)

/* A mapping that was moved has the tick of that: it lives, but not from what was mapped then. */
static void what_does_not_fit_has_no_age(void)
{
	struct mappings_range range = {.start = 0x10000000,
				       .end = 0x10010000,
				       .kind = MAPPINGS_C,
				       .flags = MAPPINGS_USABLE};
	begin(32 * MIB);
	run(3 * SECOND);
	range.site = site_of(1, 0x10000, ORIGIN_MMAP);
	range.tick = tick_now();
	mappings_map(&range);
	run(10 * SECOND);
	look();
	CHECK(share(1, 9).alloc_bytes == 0x10000 && share(1, 9).inuse_bytes == 0x10000);
	mappings_drop(mappings_hold(0x10008000, 0x8000));
	run(10 * SECOND);
	look();
	CHECK(share(1, 19).alloc_bytes == 0x10000 && share(1, 19).inuse_bytes == 0x8000);
	CHECK(share(1, 19).alloc_objects == 1 && share(1, 19).inuse_objects == 1);
	range.tick = tick_now();
	range.start += 0x1000000;
	range.end += 0x1000000;
	mappings_map(&range);
	mappings_drop(mappings_hold(range.start, 0x10000)); /* there is room in this interval */
	struct mappings_range old;
	CHECK(mappings_find(0x10000000, &old));
	mappings_map(&(struct mappings_range){.start = 0x20000000,
					      .end = 0x20001000,
					      .kind = MAPPINGS_C,
					      .flags = MAPPINGS_USABLE,
					      .site = range.site,
					      .tick = old.tick});
	look();
	CHECK(share(1, 19).inuse_bytes == 0x8000 + 0x1000);
	mappings_map(&(struct mappings_range){.start = 0x30000000,
					      .end = 0x30010000,
					      .kind = MAPPINGS_C,
					      .flags = MAPPINGS_USABLE,
					      .site = range.site,
					      .tick = old.tick});
	look();
	CHECK(share(1, 19).inuse_bytes == 0x10000 && share(1, UINT64_MAX).inuse_bytes == 0x9000);
}
CASE(what_does_not_fit_has_no_age)

/* ---- samples -------------------------------------------------------------- */

#define TRIALS   400
#define INTERVAL 4096

static bool is_sampled(uint64_t size)
{
	return random_below(1u << 30) < (1u << 30) * (1 - exp(-(double)size / INTERVAL));
}

/* As many as there are samples. */
static uint32_t allocate_sampled(uint64_t stack, uint64_t size, uint32_t blocks, uint64_t *kept)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < blocks; i++)
		if (is_sampled(size))
			kept[n++] = allocate(stack, size, INTERVAL);
	return n;
}

static void check_mean(const double *values, double truth_is)
{
	double sum = 0, squares = 0;

	for (uint32_t i = 0; i < TRIALS; i++)
		sum += values[i];
	for (uint32_t i = 0; i < TRIALS; i++)
		squares += (values[i] - sum / TRIALS) * (values[i] - sum / TRIALS);
	double error = sqrt(squares / (TRIALS - 1) / TRIALS);
	CHECK(error > 0 && fabs(sum / TRIALS - truth_is) < 3 * error);
	CHECK(error < truth_is / 20);
}

/* Each stack is a trial: 500 blocks of which every fourth lives, then 100 of two sizes, all live.
 */
static void figures_are_unbiased(void)
{
	static double allocated[TRIALS], live[TRIALS], later[TRIALS], objects[TRIALS];
	static uint64_t blocks[600];

	begin(32 * MIB);
	for (uint64_t stack = 0; stack < TRIALS; stack++) {
		uint32_t n = allocate_sampled(stack, 700, 375, blocks);
		while (n)
			release(blocks[--n]);
		allocate_sampled(stack, 700, 125, blocks);
	}
	run(12 * SECOND);
	for (uint64_t stack = 0; stack < TRIALS; stack++) {
		allocate_sampled(stack, 900, 50, blocks);
		allocate_sampled(stack, 100, 50, blocks);
	}
	run(SECOND);
	look();
	for (uint64_t stack = 0; stack < TRIALS; stack++) {
		allocated[stack] = (double)share(stack, 10).alloc_bytes;
		live[stack] = (double)share(stack, 10).inuse_bytes;
		later[stack] = (double)share(stack, 0).inuse_bytes;
		objects[stack] = (double)share(stack, 0).alloc_objects;
		CHECK(share(stack, 0).alloc_bytes - share(stack, 0).inuse_bytes <= 2);
	}
	check_mean(allocated, 500 * 700);
	check_mean(live, 125 * 700);
	check_mean(later, 50 * 1000);
	check_mean(objects, 100);
}
CASE(figures_are_unbiased)

/* ---- the table ------------------------------------------------------------ */

#define ROOM 128 /* with 4 MiB */

static void the_smallest_make_room_for_larger_ones(void)
{
	begin(4 * MIB);
	CHECK(cohorts_counters().room == ROOM);
	for (uint64_t stack = 0; stack < ROOM; stack++)
		allocate(stack, stack < 5 ? 99 : 100, 1);
	run(60 * SECOND);
	CHECK(cohorts_counters().rows == ROOM && cohorts_counters().without == 0);
	for (uint64_t stack = ROOM; stack < ROOM + 5; stack++)
		allocate(stack, 1000, 1);
	for (uint64_t stack = ROOM + 5; stack < ROOM + 10; stack++)
		allocate(stack, 150, 1); /* not twice as much as any */
	now_ns += SECOND;
	look();
	CHECK(share(ROOM + 9, 0).alloc_bytes == 150); /* all of it since the last mark */
	run(10 * SECOND);
	look();
	CHECK(cohorts_counters().evicted == 5 && cohorts_counters().without == 10);
	CHECK(share(ROOM, 6).alloc_bytes == 1000 && share(ROOM, 6).inuse_bytes == 1000);
	CHECK(share(ROOM + 9, UINT64_MAX).inuse_bytes == 150);
	CHECK(share(0, UINT64_MAX).inuse_bytes == 99 && share(5, 65).inuse_bytes == 100);
	/* One with a row again knows what came since. */
	allocate(0, 5000, 1);
	run(5 * SECOND);
	allocate(0, 1, 1);
	run(5 * SECOND);
	look();
	CHECK(cohorts_counters().evicted == 6);
	CHECK(share(0, UINT64_MAX).inuse_bytes == 5099 && share(0, 3).alloc_bytes == 1);
}
CASE(the_smallest_make_room_for_larger_ones)

static void reclaim(uint64_t *from)
{
	uint64_t before = stacks_reclaimed();

	while (cells_used_bytes() < cells_total_bytes() / 10 * 8) {
		struct capture c = {.count = 60, .end = CAPTURE_COMPLETE_THREAD};
		for (uint32_t i = 0; i < c.count; i++)
			c.frames[i] = 0x4000000 + 16 * (i + 1000 * *from);
		++*from;
		uint32_t pin = pins_enter(), site = stacks_site(&c, 64, ORIGIN_MALLOC);
		struct weight w = weight_whole(64);
		site_add_alloc(site_at(site), w);
		site_add_free(site_at(site), w);
		pins_leave(pin);
	}
	for (uint32_t i = 0; i < 1000 && stacks_reclaimed() == before; i++) {
		stacks_reclaim_tick();
		now_ns += SECOND / 10;
	}
	CHECK(stacks_reclaimed() > before);
}

/* A stack that takes the place of another one has nothing of its history. */
static void what_was_reclaimed_is_forgotten(void)
{
	uint64_t from = 0;
	uint32_t site, old, rows;

	begin(8 * MIB);
	for (uint64_t stack = 0; stack < 50; stack++)
		release(allocate(stack, 777, 1));
	old = ids[7];
	run(60 * SECOND);
	rows = cohorts_counters().rows;
	CHECK(rows == 50);
	reclaim(&from);
	for (uint64_t stack = 1000; stack < 1200; stack++)
		allocate(stack, 10, 1);
	run(20 * SECOND);
	look();
	site = 0;
	for (size_t i = 0; i < now.snapshot.count; i++) {
		const struct tally *t = &now.snapshot.tallies[i];
		site = t->stack == old ? t->site : site;
		CHECK(t->alloc_bytes != 777 && (!t->inuse_bytes || t->inuse_bytes == 10));
	}
	CHECK(site); /* or this test has not tried it */
	/* Each stack has one, but the two that have no frames. */
	CHECK(cohorts_counters().rows == stacks_count() - 2);
}
CASE(what_was_reclaimed_is_forgotten)

/* ---- on and off ------------------------------------------------------------ */

static void time_off_is_said(void)
{
	uint64_t off_ns = 0;
	uint32_t marks;

	begin(32 * MIB);
	allocate(1, 100, 1);
	run(22 * SECOND);
	control_sampling(false, 0, 0);
	CHECK(cohorts_tick() == UINT64_MAX);
	marks = cohorts_counters().marks;
	for (uint32_t i = 0; i < 1000; i++) {
		now_ns += SECOND / 2;
		CHECK(cohorts_tick() == UINT64_MAX);
	}
	CHECK(cohorts_counters().marks == marks);
	control_sampling(true, 0, 0);
	CHECK(cohorts_tick() <= 8 * SECOND);
	allocate(1, 200, 1);
	run(10 * SECOND);
	look();
	for (uint32_t i = 0; i < now.count; i++)
		off_ns += now.list[i].off_ns;
	CHECK(off_ns == 500 * SECOND && control_get().off_ns == off_ns);
	for (uint32_t i = 0; i < now.count; i++)
		if (now.list[i].off_ns)
			CHECK(now.list[i].to_ns - now.list[i].from_ns <= off_ns + 5 * SECOND);
	CHECK(share(1, 9).alloc_bytes == 200 && share(1, 531).inuse_bytes == 100);
}
CASE(time_off_is_said)

/* Nobody turned sampling on and off so often that marks could follow. */
static void a_switch_that_flutters_makes_few_marks(void)
{
	begin(32 * MIB);
	run(10 * SECOND);
	for (uint32_t i = 0; i < 1000; i++) {
		control_sampling(i % 2, 0, 0);
		cohorts_tick();
		now_ns += SECOND / 100;
	}
	CHECK(cohorts_counters().marks <= 2 + 11);
	control_sampling(true, 0, 0);
	run(10 * SECOND);
	look();
}
CASE(a_switch_that_flutters_makes_few_marks)

/* ---- large figures ----------------------------------------------------------- */

static void totals_that_wrap_have_differences(void)
{
	struct weight w = {1, UINT64_C(3) << 62};

	begin(32 * MIB);
	for (uint32_t i = 0; i < 5; i++) {
		uint32_t site = site_of(1, 1000, ORIGIN_MALLOC);
		site_add_alloc(site_at(site), w);
		site_add_free(site_at(site), w);
		run(2 * SECOND);
		allocate(1, 1000, 1);
		run(3 * SECOND);
	}
	uint64_t before = now_ns;
	allocate(1, 1000, 1);
	run(6 * SECOND);
	look();
	CHECK(now_ns - before == 6 * SECOND);
	CHECK(share(1, 5).alloc_bytes == 1000 && share(1, 5).alloc_objects == 1);
}
CASE(totals_that_wrap_have_differences)

/* What has no stack has no history: other stacks end there too. */
static void what_has_no_stack_has_no_age(void)
{
	begin(32 * MIB);
	struct live_block b = block_of(1, 100, 1);
	struct site *none = site_at(stacks_reclaimed_to(ORIGIN_MALLOC));
	put(&b);
	count(&b);
	site_add_alloc(none, weight_whole(500));
	site_add_alloc(site_at(stacks_reclaimed_to(ORIGIN_MMAP)), weight_whole(70));
	now_ns += SECOND;
	look();
	ids[0] = none->stack;
	CHECK(share(0, 0).alloc_bytes == 0 && share(1, 0).alloc_bytes == 100);
	run(12 * SECOND);
	look();
	CHECK(cohorts_counters().rows == 1);
	CHECK(share(0, UINT64_MAX).inuse_bytes == 500 && share(0, 11).alloc_bytes == 0);
}
CASE(what_has_no_stack_has_no_age)

/* ---- others at work ---------------------------------------------------------- */

static void a_child_goes_on(void)
{
	begin(32 * MIB);
	allocate(1, 100, 1);
	run(12 * SECOND);
	pid_t pid = fork();
	int status = 0;
	if (pid) {
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
		return;
	}
	allocate(1, 200, 1);
	run(12 * SECOND);
	look();
	CHECK(share(1, 23).inuse_bytes == 100 && share(1, 11).alloc_bytes == 200);
}
CASE(a_child_goes_on)

static bool is_over;

static void *allocate_and_free(void *first)
{
	uint64_t address = (uint64_t)first << 32;
	struct live_block stale;

	for (uint32_t i = 0; !LOAD(&is_over); i++) {
		struct live_block b = {.address = address + 64 * (i % 5000 + 1),
				       .size = 100,
				       .interval = 1,
				       .tick = (uint32_t)((LOAD(&now_ns) - START) / LIVE_TICK_NS)};
		struct capture c = {.count = 2,
				    .end = CAPTURE_COMPLETE_THREAD,
				    .frames = {0x1000, 0x10000 + 16 * (i % 40)}};
		if (live_take((void *)b.address, &stale))
			site_add_free(site_at(stale.site), weight_whole(stale.size));
		uint32_t pin = pins_enter();
		b.site = stacks_site(&c, 100 + i % 3, ORIGIN_MALLOC);
		live_put(&b, &stale);
		site_add_alloc(site_at(b.site), weight_whole(b.size));
		pins_leave(pin);
	}
	return NULL;
}

/* Time passes too fast for shares to be right; they keep their bounds all the same. */
static void bounds_hold_while_threads_allocate(void)
{
	pthread_t threads[3];

	begin(32 * MIB);
	for (uint64_t i = 0; i < COUNT_OF(threads); i++)
		CHECK(!pthread_create(&threads[i], NULL, allocate_and_free, (void *)(i + 1)));
	for (uint32_t i = 0; i < 300; i++) {
		struct scratch part = SCRATCH_INIT(64 * MIB);
		ADD(&now_ns, SECOND);
		cohorts_tick();
		if (i % 10)
			continue;
		CHECK(cohorts_read(&part, &now) == 0);
		for (size_t k = 0; k < now.snapshot.count; k++) {
			const struct tally *t = &now.snapshot.tallies[k];
			CHECK(t->age > now.count || t->inuse_bytes <= t->alloc_bytes);
			CHECK(t->inuse_bytes >= 0 && t->inuse_objects >= 0);
		}
		scratch_release(&part);
	}
	STORE(&is_over, true);
	for (uint32_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	look();
}
CASE(bounds_hold_while_threads_allocate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks_keep_their_resolution_for_weeks),
		cmocka_unit_test(test_marks_at_odd_times_keep_it_for_years),
		cmocka_unit_test(test_figures_are_exact_at_interval_1),
		cmocka_unit_test(test_a_leak_is_whole_in_every_interval),
		cmocka_unit_test(test_what_does_not_fit_has_no_age),
		cmocka_unit_test(test_figures_are_unbiased),
		cmocka_unit_test(test_the_smallest_make_room_for_larger_ones),
		cmocka_unit_test(test_what_was_reclaimed_is_forgotten),
		cmocka_unit_test(test_time_off_is_said),
		cmocka_unit_test(test_a_switch_that_flutters_makes_few_marks),
		cmocka_unit_test(test_totals_that_wrap_have_differences),
		cmocka_unit_test(test_what_has_no_stack_has_no_age),
		cmocka_unit_test(test_a_child_goes_on),
		cmocka_unit_test(test_bounds_hold_while_threads_allocate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
