/* What was in use when most was: exact for one thread, and within what is stated for several. */
#include "child.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/pagemap.h"
#include "region/cells.h"
#include "region/region.h"
#include "record/peak.h"
#include "record/stacks.h"
#include "record/stacks_reclaim.h"

#define SITES 40

static struct {
	uint64_t seed;
	uint32_t sites[SITES];
	uint64_t in_use[SITES], at_peak[SITES], at_rss[SITES]; /* bytes */
	uint64_t total, highest, rss_highest;
} model = {.seed = 1};

static uint32_t draw(uint32_t below)
{
	model.seed = model.seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((model.seed >> 33) % below);
}

/* Blocks of a size that the site knows, blocks of which it counts the objects, and mappings. */
static enum origin origin_of(uint32_t i)
{
	return i % 4 == 3 ? ORIGIN_MMAP : ORIGIN_MALLOC;
}

static uint64_t size_of(uint32_t i)
{
	return i % 4 == 2 ? 0 : 1 + 977 * (uint64_t)i;
}

static uint64_t bytes_of(uint32_t i)
{
	return size_of(i) ? size_of(i) : 100;
}

static struct weight whole(uint64_t bytes)
{
	return (struct weight){UINT64_C(1) << WEIGHT_OBJECT_BITS, bytes << WEIGHT_BYTE_BITS};
}

static uint32_t site_new(uint64_t seed, uint64_t size, enum origin origin)
{
	struct capture c = {.count = 3, .end = CAPTURE_COMPLETE_THREAD};

	for (uint32_t i = 0; i < c.count; i++)
		c.frames[i] = 0x1000 + 16 * (i + seed * 100);
	uint32_t site = stacks_site(&c, size, origin);
	CHECK(site);
	return site;
}

static void begin(void)
{
	CHECK(region_init(8 * MIB) == 0 && stacks_init() == 0);
	for (uint32_t i = 0; i < SITES; i++)
		model.sites[i] = site_new(i, size_of(i), origin_of(i));
}

static void allocate(uint32_t i, uint64_t bytes)
{
	peak_add_alloc(site_at(model.sites[i]), whole(bytes));
	model.in_use[i] += bytes;
	model.total += bytes;
	if (model.total <= model.highest)
		return;
	model.highest = model.total;
	memcpy(model.at_peak, model.in_use, sizeof(model.in_use));
}

static void release(uint32_t i, uint64_t bytes)
{
	peak_add_free(site_at(model.sites[i]), whole(bytes));
	model.in_use[i] -= bytes;
	model.total -= bytes;
}

static void release_all(uint32_t i)
{
	while (model.in_use[i])
		release(i, bytes_of(i));
}

static void look(uint64_t rss)
{
	peak_look(rss);
	if (rss <= model.rss_highest)
		return;
	model.rss_highest = rss;
	memcpy(model.at_rss, model.in_use, sizeof(model.in_use));
}

static const struct tally *tally_of(const struct snapshot *s, uint32_t site)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->tallies[i].site == site)
			return &s->tallies[i];
	return NULL;
}

static void check_peak(enum peak which, const uint64_t expected[SITES], uint64_t highest)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct snapshot s;
	size_t present = 0;

	CHECK(peak_height(which).bytes == highest);
	CHECK(peak_snapshot(&scratch, which, &s) == 0);
	for (uint32_t i = 0; i < SITES; i++) {
		const struct tally *t = tally_of(&s, model.sites[i]);
		CHECK((t ? (uint64_t)t->inuse_bytes : 0) == expected[i]);
		CHECK(!t || (t->alloc_bytes == t->inuse_bytes &&
			     (uint64_t)t->inuse_objects == expected[i] / bytes_of(i)));
		present += t != NULL;
	}
	CHECK(s.count == present);
	scratch_release(&scratch);
}

static void check(void)
{
	check_peak(PEAK_C, model.at_peak, model.highest);
	check_peak(PEAK_RSS, model.at_rss, model.rss_highest);
}

/* One block more or less at a site; upward is how many of ten steps allocate. */
static void step(uint32_t upward)
{
	uint32_t i = draw(SITES);
	uint64_t bytes = bytes_of(i);

	if (draw(10) < upward)
		allocate(i, bytes);
	else if (model.in_use[i])
		release(i, bytes);
}

static void walk(uint32_t steps)
{
	for (uint32_t n = 0, upward = 5; n < steps; n++) {
		if (n % 500 == 0)
			upward = 2 + draw(7);
		step(upward);
		if (n % 50 == 0)
			look(10 * MIB + model.total + draw(MIB));
		if (n % 97 == 0)
			check();
	}
}

static void reset(void)
{
	peak_flush();
	peak_reset();
	model.highest = model.total;
	memcpy(model.at_peak, model.in_use, sizeof(model.in_use));
	model.rss_highest = 0;
	look(20 * MIB);
}

static void a_walk_up_and_down_keeps_the_highest(void)
{
	begin();
	look(MIB);
	for (uint32_t n = 0; n < 20; n++) {
		walk(5000);
		reset();
		check();
	}
}
CASE(a_walk_up_and_down_keeps_the_highest)

/* A thread keeps small changes to itself, except such as make a peak. */
static void a_thread_that_keeps_to_itself_misses_no_peak(void)
{
	begin();
	look(MIB);
	sample_self.registered = 1;
	for (uint32_t n = 0; n < 20; n++) {
		walk(5000);
		reset();
	}
	walk(5000);
	uint64_t lacks = model.total - peak_in_use();
	CHECK((int64_t)lacks <= (int64_t)PEAK_BATCH_BYTES &&
	      (int64_t)lacks >= -(int64_t)PEAK_BATCH_BYTES);
	peak_flush();
	CHECK(peak_in_use() == model.total);
}
CASE(a_thread_that_keeps_to_itself_misses_no_peak)

/* Between two looks, however short. */
static void a_spike_is_not_lost(void)
{
	begin();
	allocate(0, size_of(0));
	allocate(2, 100);
	for (uint32_t n = 0; n < 1000; n++)
		allocate(1, size_of(1));
	for (uint32_t n = 0; n < 1000; n++)
		release(1, size_of(1));
	look(MIB);
	check();
	CHECK(model.at_peak[1] == 1000 * size_of(1) && model.in_use[1] == 0);
	CHECK(peak_height(PEAK_C).other_bytes == UNKNOWN); /* that look was too late for its RSS */
}
CASE(a_spike_is_not_lost)

/* A thread that made the highest total is stopped before it has said how high. */
static void a_peak_that_is_not_said_yet_is_not_lost(void)
{
	begin();
	allocate(1, size_of(1));
	uint64_t before = peak_height(PEAK_C).bytes;
	for (uint32_t n = 0; n < 1000; n++)
		allocate(5, size_of(5));
	STORE(&region->peaks[PEAK_C].highest, before);
	release_all(5);
	for (uint32_t n = 0; n < 10; n++)
		allocate(1, size_of(1));
	check_peak(PEAK_C, model.at_peak, model.highest);
}
CASE(a_peak_that_is_not_said_yet_is_not_lost)

static void the_other_figure_is_that_of_the_peak(void)
{
	begin();
	allocate(1, size_of(1));
	look(7 * MIB);
	CHECK(peak_height(PEAK_C).other_bytes == 7 * MIB);
	CHECK(peak_height(PEAK_RSS).other_bytes == size_of(1));
	release(1, size_of(1));
	look(6 * MIB);
	CHECK(peak_height(PEAK_C).other_bytes == 7 * MIB);
	peak_look(UNKNOWN);
	CHECK(peak_height(PEAK_RSS).bytes == 7 * MIB);
}
CASE(the_other_figure_is_that_of_the_peak)

/* What still grows, and what stays, has its peak now. */
static void a_peak_that_is_now_is_the_live_profile(void)
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	struct snapshot live, peak;

	begin();
	for (uint32_t i = 0; i < SITES; i++)
		allocate(i, bytes_of(i));
	CHECK(stacks_snapshot(&scratch, 0, &live) == 0);
	CHECK(peak_snapshot(&scratch, PEAK_C, &peak) == 0);
	CHECK(live.count == SITES && peak.count == SITES);
	for (size_t i = 0; i < SITES; i++)
		CHECK(live.tallies[i].inuse_bytes == peak.tallies[i].inuse_bytes &&
		      live.tallies[i].inuse_objects == peak.tallies[i].inuse_objects);
	CHECK(peak_in_use() == peak_height(PEAK_C).bytes);
}
CASE(a_peak_that_is_now_is_the_live_profile)

/* Reset with nothing in use: the old peak is forgotten although there is no new one. */
static void a_reset_forgets(void)
{
	begin();
	allocate(1, size_of(1));
	release(1, size_of(1));
	reset();
	check();
	CHECK(model.highest == 0);
}
CASE(a_reset_forgets)

/* A number comes again after 65,535 peaks; nothing of an older one may be taken for the last's. */
static void numbers_that_come_again_mean_nothing(void)
{
	begin();
	for (uint32_t i = 1; i < SITES; i++)
		allocate(i, bytes_of(i));
	for (uint32_t i = 1; i < SITES; i++)
		release_all(i); /* kept under the first number, and then left alone */
	uint16_t first = peak_number(&region->peaks[PEAK_C]);
	do {
		for (uint64_t before = model.highest; model.highest == before;)
			allocate(2, 100);
		release(2, 100);
		look(MIB);
	} while (peak_number(&region->peaks[PEAK_C]) != first);
	check();
}
CASE(numbers_that_come_again_mean_nothing)

/* ---- stacks that go ------------------------------------------------------- */

/* Stacks that were seen idle go with the next pass, which rests by what the first one took. */
static void reclaim_until(bool (*is_done)(void))
{
	struct timespec ms = {.tv_nsec = 5000000};

	for (int left = 40000; !is_done(); left--) {
		CHECK(left);
		stacks_reclaim_tick();
		nanosleep(&ms, NULL);
	}
}

static bool has_reclaimed(void)
{
	return stacks_reclaimed() > 0;
}

static uint64_t fill_to(uint64_t from, uint32_t permille)
{
	for (; cells_used_bytes() < cells_total_bytes() / 1000 * permille; from++) {
		struct site *s = site_at(site_new(from, 64, ORIGIN_MALLOC));
		peak_add_alloc(s, whole(64));
		peak_add_free(s, whole(64));
	}
	return from;
}

static uint64_t sum_at_peak(uint64_t *of_reclaimed)
{
	struct scratch scratch = SCRATCH_INIT(8 * MIB);
	struct snapshot s;
	uint64_t sum = 0;

	*of_reclaimed = 0;
	CHECK(peak_snapshot(&scratch, PEAK_C, &s) == 0);
	for (size_t i = 0; i < s.count; i++) {
		sum += (uint64_t)s.tallies[i].inuse_bytes;
		if (s.tallies[i].site == stacks_reclaimed_to(ORIGIN_MALLOC))
			*of_reclaimed += (uint64_t)s.tallies[i].inuse_bytes;
	}
	scratch_release(&scratch);
	return sum;
}

static bool has_reclaimed_all(void)
{
	uint64_t gone;

	sum_at_peak(&gone);
	return gone == model.highest;
}

/* While there is room a peak's stacks stay; when it is short, what they had stays in the sum. */
static void stacks_of_a_peak_stay_or_are_said_to_be_gone(void)
{
	uint64_t from = 1000, gone;

	begin();
	for (uint32_t i = 0; i < SITES; i++)
		if (origin_of(i) == ORIGIN_MALLOC)
			allocate(i, bytes_of(i));
	for (uint32_t i = 0; i < SITES; i++)
		release_all(i);
	from = fill_to(from, 600);
	reclaim_until(has_reclaimed);
	check_peak(PEAK_C, model.at_peak, model.highest);
	CHECK(sum_at_peak(&gone) == model.highest && gone == 0);
	from = fill_to(from, 900);
	reclaim_until(has_reclaimed_all);
	CHECK(sum_at_peak(&gone) == model.highest);
	reset();
	CHECK(sum_at_peak(&gone) == 0);
}
CASE(stacks_of_a_peak_stay_or_are_said_to_be_gone)

/* ---- threads --------------------------------------------------------------- */

#define THREADS 4
#define MOST    4000

static void *churns(void *seed)
{
	uint64_t random = (uint64_t)seed, live[SITES] = {0};

	sample_self.registered = 1;
	for (uint32_t n = 0; n < 60000; n++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint32_t i = (uint32_t)(random >> 33) % SITES, up = n / 3000 % 2 ? 9 : 4;
		if (size_of(i) == 0 || size_of(i) > MOST)
			continue;
		if ((random >> 50) % 13 < up) {
			peak_add_alloc(site_at(model.sites[i]), whole(size_of(i)));
			live[i]++;
		} else if (live[i]) {
			peak_add_free(site_at(model.sites[i]), whole(size_of(i)));
			live[i]--;
		}
	}
	peak_flush();
	sample_self.registered = 2;
	return NULL;
}

/* The sum of a peak's figures is its height, but for what threads kept and were about to count. */
static void a_peak_of_several_threads_is_near(void)
{
	pthread_t threads[THREADS];
	const int64_t slack = THREADS * ((int64_t)PEAK_BATCH_BYTES + 2 * MOST);
	uint64_t gone;

	begin();
	for (uint64_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, churns, (void *)(i + 1)));
	for (uint64_t i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	struct stacks_totals now = stacks_totals();
	CHECK(peak_in_use() == now.bytes[ORIGIN_MALLOC] + now.bytes[ORIGIN_MMAP]);
	CHECK(peak_height(PEAK_C).bytes >= peak_in_use());
	int64_t off = (int64_t)(sum_at_peak(&gone) - peak_height(PEAK_C).bytes);
	CHECK(off <= slack && off >= -slack);
}
CASE(a_peak_of_several_threads_is_near)

static bool is_over;

/* Two sites by turns, each time a little higher, with nothing in use between. */
static void *makes_peaks(void *arg)
{
	struct site *ends[] = {site_at(model.sites[1]), site_at(model.sites[37])};

	sample_self.registered = 1;
	for (uint64_t n = 1; !LOAD(&is_over); n++) {
		struct site *s = ends[n & 1];
		for (int i = 0; i < 16; i++)
			peak_add_alloc(s, whole(MIB + n));
		for (int i = 0; i < 16; i++)
			peak_add_free(s, whole(MIB + n));
	}
	peak_flush();
	return arg;
}

/* A snapshot is of one peak, also if a higher one comes while it is made. */
static void a_snapshot_is_of_one_peak(void)
{
	pthread_t thread;
	uint64_t gone, twice = 0;

	begin();
	for (uint64_t i = 0; i < 2000; i++)
		peak_add_alloc(site_at(site_new(1000 + i, 64, ORIGIN_MALLOC)), whole(64));
	CHECK(!pthread_create(&thread, NULL, makes_peaks, NULL));
	for (int i = 0; i < 3000; i++)
		twice += sum_at_peak(&gone) > peak_height(PEAK_C).bytes + 2 * MIB;
	STORE(&is_over, true);
	pthread_join(thread, NULL);
	CHECK(!twice);
}
CASE(a_snapshot_is_of_one_peak)

static void a_child_counts_what_is_there(void)
{
	begin();
	walk(3000);
	sample_self.registered = 1;
	peak_own_fx = 0;
	region->peaks[PEAK_C].now += UINT64_C(12345) << PEAK_NUMBER_BITS; /* another thread's */
	peak_follow_in_child();
	CHECK(peak_in_use() == model.total);
	walk(3000);
}
CASE(a_child_counts_what_is_there)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_walk_up_and_down_keeps_the_highest),
		cmocka_unit_test(test_a_thread_that_keeps_to_itself_misses_no_peak),
		cmocka_unit_test(test_a_spike_is_not_lost),
		cmocka_unit_test(test_a_peak_that_is_not_said_yet_is_not_lost),
		cmocka_unit_test(test_the_other_figure_is_that_of_the_peak),
		cmocka_unit_test(test_a_peak_that_is_now_is_the_live_profile),
		cmocka_unit_test(test_a_reset_forgets),
		cmocka_unit_test(test_numbers_that_come_again_mean_nothing),
		cmocka_unit_test(test_stacks_of_a_peak_stay_or_are_said_to_be_gone),
		cmocka_unit_test(test_a_peak_of_several_threads_is_near),
		cmocka_unit_test(test_a_snapshot_is_of_one_peak),
		cmocka_unit_test(test_a_child_counts_what_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
