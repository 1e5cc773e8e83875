/* Room for new stacks: what is removed, what must stay, and that no figure changes. */
#include "child.h"

#include <pthread.h>
#include <string.h>

#include "region/cells.h"
#include "region/region.h"
#include "record/labelsets.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/pins.h"
#include "record/stacks.h"
#include "record/stacks_reclaim.h"
#include "record/unloads.h"

static void begin(size_t bytes)
{
	CHECK(region_init(bytes) == 0 && stacks_init() == 0);
}

static struct capture stack_of(uint64_t seed, uint32_t frames)
{
	struct capture c = {.count = frames, .end = CAPTURE_COMPLETE_THREAD};

	for (uint32_t i = 0; i < frames; i++)
		c.frames[i] = 0x1000 + 16 * (i + (i ? seed * 1000 : 0));
	return c;
}

static struct weight whole(uint64_t objects, uint64_t bytes)
{
	return (struct weight){objects << WEIGHT_OBJECT_BITS, bytes << WEIGHT_BYTE_BITS};
}

/* Allocates a block and frees it at once. */
static uint32_t pass_by(const struct capture *c, uint64_t bytes)
{
	uint32_t pin = pins_enter(), site = stacks_site(c, bytes, ORIGIN_MALLOC);

	CHECK(site);
	site_add_alloc(site_at(site), whole(1, bytes));
	site_add_free(site_at(site), whole(1, bytes));
	pins_leave(pin);
	return site;
}

static bool is_complete(uint32_t site)
{
	return stack_at(site_at(site)->stack)->end == CAPTURE_COMPLETE_THREAD;
}

static struct tally sum(void)
{
	struct scratch scratch = SCRATCH_INIT(64 * MIB);
	struct tally all = {0};
	struct snapshot s;

	CHECK(stacks_snapshot(&scratch, 0, &s) == 0 && !scratch.exhausted);
	for (size_t i = 0; i < s.count; i++) {
		all.alloc_objects += s.tallies[i].alloc_objects;
		all.alloc_bytes += s.tallies[i].alloc_bytes;
		all.inuse_objects += s.tallies[i].inuse_objects;
		all.inuse_bytes += s.tallies[i].inuse_bytes;
	}
	scratch_release(&scratch);
	return all;
}

/* Makes passes until they free nothing, without waiting for the clock. */
static void look(void)
{
	struct timespec ms = {.tv_nsec = 5000000};
	uint64_t before = stacks_reclaimed();

	for (int i = 0; i < 1000 && stacks_reclaimed() == before; i++) {
		stacks_reclaim_tick();
		if (stacks_reclaimed() == before)
			nanosleep(&ms, NULL);
	}
	CHECK(stacks_reclaimed() > before);
}

static uint64_t fill_to(uint64_t from, uint32_t permille, uint32_t frames)
{
	while (cells_used_bytes() < cells_total_bytes() / 1000 * permille) {
		struct capture c = stack_of(from++, frames);
		pass_by(&c, 64);
	}
	return from;
}

/* A day of libraries that come and go, of recursion to changing depths, and of a few stacks
 * that stay. */
static void a_day_of_churn_ends_as_it_began(void)
{
	struct capture kept[20], c;
	uint32_t sites[20];
	uint64_t n = 0;
	struct tally all;

	begin(8 * MIB);
	for (uint32_t i = 0; i < 20; i++) {
		kept[i] = stack_of(1000000 + i, 10 + i);
		sites[i] = stacks_site(&kept[i], 100, ORIGIN_MALLOC);
		site_add_alloc(site_at(sites[i]), whole(2, 200));
	}
	for (uint32_t part = 0; part < 8; part++) {
		uint64_t from = n;
		for (uint32_t permille = 300; permille < 900; permille += 100)
			n = fill_to(n, permille, 5 + part * 15);
		CHECK(n - from > 100);
		look();
		for (uint32_t i = 0; i < 20; i++)
			CHECK(stacks_site(&kept[i], 100, ORIGIN_MALLOC) == sites[i] &&
			      site_at(sites[i])->size == 100);
	}
	c = stack_of(5000000, 128);
	CHECK(is_complete(pass_by(&c, 64)) && stacks_coarse() == 0);
	all = sum();
	CHECK(all.alloc_objects == (int64_t)n + 1 + 40 && all.inuse_objects == 40);
	CHECK(all.alloc_bytes == 64 * ((int64_t)n + 1) + 4000 && all.inuse_bytes == 4000);
	CHECK(cells_used_bytes() < cells_total_bytes() / 10 * 9);
}
CASE(a_day_of_churn_ends_as_it_began)

/* A burst before the first look that leaves no room, not even for the ends of stacks. */
static void a_burst_before_the_first_look_is_reclaimed(void)
{
	uint64_t n = 0;
	struct capture c;

	begin(4 * MIB);
	for (; n < 100000; n++) {
		c = stack_of(n, 2 + (uint32_t)n % 60);
		pass_by(&c, 64);
	}
	look();
	CHECK(stacks_reclaimed() >= 100 && sum().alloc_objects == (int64_t)n);
	c = stack_of(n++, 60);
	CHECK(is_complete(pass_by(&c, 64)));
}
CASE(a_burst_before_the_first_look_is_reclaimed)

/* Stacks whose last frames are the same, so they share sites. */
static struct capture ending(uint64_t seed, uint32_t same)
{
	struct capture c = stack_of(seed, 60);

	for (uint32_t i = 1; i <= same; i++)
		c.frames[i] = 0x7770 + i;
	return c;
}

/* A burst between two looks: ends of stacks, never nothing, and whole stacks again afterwards. */
static void without_room_a_stack_keeps_its_ends(void)
{
	uint64_t n = 0, coarse = 0;
	struct capture c;
	struct stack *s;

	begin(4 * MIB);
	do {
		c = ending(n++, 2);
	} while (is_complete(pass_by(&c, 64)));
	/* First three C frames, and if there is no room for all of those, two. */
	for (uint32_t same = 2; same; same--) {
		uint32_t site;
		do {
			c = ending(n++, same);
			site = pass_by(&c, 64);
			coarse++;
			s = stack_at(site_at(site)->stack);
		} while (s->frame_count > same + 1);
		CHECK(s->end == CAPTURE_NO_ROOM && s->frame_count == same + 1 &&
		      memcmp(s->frames, c.frames, (same + 1) * sizeof(s->frames[0])) == 0 &&
		      site_at(site)->mixed);
		/* Other stacks find room in the slab that it opened if cells are of one size. */
		uint32_t others = 0;
		for (int i = 1; i < 1000; i++, coarse++) {
			c = ending(n++, same);
			others += pass_by(&c, 64 + (uint64_t)i) != site;
		}
		CHECK(others < CELLS_SLAB_BYTES / CELLS_UNIT);
	}
	CHECK(stacks_coarse() == coarse + 1);
	CHECK(sum().alloc_objects == (int64_t)n);
	look();
	c = stack_of(n++, 60);
	CHECK(is_complete(pass_by(&c, 64)) && sum().alloc_objects == (int64_t)n);
}
CASE(without_room_a_stack_keeps_its_ends)

/* As in a hostile program: no leaf is met twice, with or without labels. */
static struct capture odd_stack(uint64_t seed)
{
	struct capture c = stack_of(seed, 1 + seed % 60);

	c.frames[0] = 0x100000000 + 16 * seed;
	c.labels = seed % 3 ? (uint32_t)(1 + seed % 1000) : 0;
	return c;
}

static bool is_without_frames(uint32_t site)
{
	const struct stack *s = stack_at(site_at(site)->stack);

	return s->frame_count == 0 && s->end == CAPTURE_NO_ROOM;
}

/* A block that stays. */
static uint32_t take(const struct capture *c, enum origin origin)
{
	uint32_t pin = pins_enter(), site = stacks_site(c, 64, origin);

	CHECK(site && site_at(site)->origin == origin);
	site_add_alloc(site_at(site), whole(1, 64));
	pins_leave(pin);
	return site;
}

/* Fills until not even a leaf finds room; returns the number of blocks. */
static uint64_t fill_with_what_stays(uint32_t origins)
{
	uint64_t n = 0, none = 0;

	for (; none < 1000; n++) {
		struct capture c = odd_stack(n);
		none += is_without_frames(take(&c, n % origins));
	}
	return n;
}

/* Nothing in use can be reclaimed. */
static void without_any_room_a_sample_keeps_its_origin(void)
{
	uint64_t n;
	struct tally all;

	begin(4 * MIB);
	n = fill_with_what_stays(ORIGIN_COUNT);
	for (uint64_t end = n + 1000; n < end; n++) {
		struct capture c = odd_stack(n);
		stacks_reclaim_tick();
		take(&c, n % ORIGIN_COUNT);
	}
	all = sum();
	CHECK(all.alloc_objects == (int64_t)n && all.alloc_bytes == 64 * (int64_t)n);
	CHECK(all.inuse_objects == (int64_t)n);
}
CASE(without_any_room_a_sample_keeps_its_origin)

/* Nothing is in use there, and everything else is reclaimed. */
static void the_site_of_what_has_no_room_is_never_reclaimed(void)
{
	uint64_t n = 0;
	uint32_t none = 0, site;

	begin(4 * MIB);
	for (int round = 0; round < 3; round++) {
		do {
			struct capture c = odd_stack(n++);
			site = pass_by(&c, 64);
			CHECK(n < 1000000);
		} while (!is_without_frames(site));
		CHECK(site == none || !none);
		none = site;
		look();
		CHECK(sum().alloc_objects == (int64_t)n);
	}
}
CASE(the_site_of_what_has_no_room_is_never_reclaimed)

/* In the middle of a pass: what was taken out is back, and every allocation finds a site. */
static void a_child_of_fork_finds_a_site_for_all(void)
{
	uint64_t n = 0;
	uint32_t pin;
	int status;
	pid_t pid;

	begin(4 * MIB);
	for (; n < 10000; n++) {
		struct capture c = odd_stack(n);
		pass_by(&c, 64);
	}
	pin = pins_enter();
	stacks_reclaim_tick();
	CHECK(stacks_reclaim_first());
	pins_leave(pin);
	pid = fork();
	if (pid) {
		CHECK(waitpid(pid, &status, 0) == pid);
		_exit(status != 0);
	}
	stacks_reclaim_follow_in_child();
	for (; n < 20000; n++) {
		struct capture c = odd_stack(n);
		pass_by(&c, 64);
	}
	look();
	CHECK(sum().alloc_objects == (int64_t)n);
}
CASE(a_child_of_fork_finds_a_site_for_all)

/* A stack that a hook has found but not yet counted at is kept. */
static void what_a_hook_has_found_stays(void)
{
	struct capture c = stack_of(1, 40);
	uint32_t site, pin;
	uint64_t n;

	begin(4 * MIB);
	pass_by(&c, 64);
	n = fill_to(2, 800, 40);
	pin = pins_enter();
	site = stacks_site(&c, 64, ORIGIN_MALLOC);
	for (int i = 0; i < 3; i++)
		CHECK(stacks_reclaim_tick() < UINT64_C(2000000000));
	CHECK(stacks_reclaimed() == 0 && stacks_reclaim_first()); /* in progress, and it waits */
	CHECK(sum().alloc_objects == (int64_t)n - 1);
	site_add_alloc(site_at(site), whole(1, 64));
	pins_leave(pin);
	look();
	CHECK(!stacks_reclaim_first() && is_complete(site));
	CHECK(stacks_site(&c, 64, ORIGIN_MALLOC) == site && sum().inuse_objects == 1);
	CHECK(sum().alloc_objects == (int64_t)n);
}
CASE(what_a_hook_has_found_stays)

/* The same on a recording stack, where the stack is the pin. */
static void pass_in_work(void *site, const struct regs *host)
{
	struct capture c = stack_of(1, 40);
	uint32_t pin = pins_enter();

	(void)host;
	CHECK(pin == PINS_STACK && pins_held());
	*(uint32_t *)site = stacks_site(&c, 64, ORIGIN_MALLOC);
	for (int i = 0; i < 3; i++)
		stacks_reclaim_tick();
	CHECK(stacks_reclaimed() == 0 && stacks_reclaim_first());
	site_add_alloc(site_at(*(uint32_t *)site), whole(1, 64));
	pins_leave(pin);
	/* The stack is still taken, but what it is pinned for now came later. */
	pin = pins_enter();
	look();
	CHECK(!stacks_reclaim_first() && is_complete(*(uint32_t *)site));
	pins_leave(pin);
}

static void what_a_hook_has_found_stays_without_a_count_of_pins(void)
{
	struct capture c = stack_of(1, 40);
	uint32_t site = 0;

	begin(4 * MIB);
	CHECK(recstack_init() == 0);
	pass_by(&c, 64);
	fill_to(2, 800, 40);
	CHECK(recstack_run(pass_in_work, &site) && site && !pins_held());
	CHECK(stacks_site(&c, 64, ORIGIN_MALLOC) == site && sum().inuse_objects == 1);
}
CASE(what_a_hook_has_found_stays_without_a_count_of_pins)

/* A note saves looking at the frames, until stacks may be reclaimed. */
static void what_is_noted_counts_until_a_pass_begins(void)
{
	struct capture c = stack_of(1, 40);
	uint32_t site, other;

	begin(4 * MIB);
	site = pass_by(&c, 64);
	c.note = UINT64_C(1) << 32 | site_at(site)->stack;
	c.frames[5]++; /* not looked at */
	CHECK(stacks_site(&c, 64, ORIGIN_MALLOC) == site);
	CHECK(stacks_site(&c, 64, ORIGIN_MALLOC) == site);
	other = stacks_site(&c, 72, ORIGIN_MALLOC);
	CHECK(other != site && site_at(other)->stack == site_at(site)->stack);
	CHECK(stacks_site(&c, 72, ORIGIN_MALLOC) == other);
	CHECK(stacks_site(&c, 64, ORIGIN_MMAP) != site);
	fill_to(2, 800, 40);
	look();
	CHECK(stacks_reclaimed());
	site = stacks_site(&c, 64, ORIGIN_MALLOC);
	CHECK(stack_at(site_at(site)->stack)->frames[5] == c.frames[5]);
}
CASE(what_is_noted_counts_until_a_pass_begins)

/* A mapping that is not usable counts nowhere, but its site may count again. */
static void what_a_mapping_refers_to_stays(void)
{
	struct capture c = stack_of(1, 40);
	struct mappings_range r = {.start = 0x10000000,
				   .end = 0x10004000,
				   .kind = MAPPINGS_THREAD_STACK,
				   .flags = MAPPINGS_USABLE};

	begin(4 * MIB);
	r.site = stacks_site(&c, 0x4000, ORIGIN_THREAD_STACK);
	mappings_map(&r);
	mappings_protect(r.start, 0x4000, false, 0);
	fill_to(2, 800, 40);
	look();
	CHECK(is_complete(r.site) && site_at(r.site)->origin == ORIGIN_THREAD_STACK);
	mappings_protect(r.start, 0x4000, true, 0);
	CHECK(sum().inuse_bytes >= 0 && stacks_totals().bytes[ORIGIN_THREAD_STACK] == 0x4000);
	CHECK(stacks_site(&c, 0x4000, ORIGIN_THREAD_STACK) == r.site);
}
CASE(what_a_mapping_refers_to_stays)

static uint32_t label(uint64_t n)
{
	char text[24];
	struct golabels l = {.count = 1, .total = 1};

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	l.list[0] = (struct golabel){{"request", 7, false}, {text, (uint8_t)strlen(text), false}};
	return labelsets_intern(&l);
}

/* A different label for each request: the last ones are still told apart like the first. */
static void labels_that_never_repeat_find_room(void)
{
	struct capture c = stack_of(1, 20);
	uint32_t dropped, kept;
	struct golabels have;

	begin(8 * MIB);
	c.labels = kept = label(1000000);
	site_add_alloc(site_at(stacks_site(&c, 8, ORIGIN_MALLOC)), whole(1, 8));
	for (uint64_t n = 0; n < 3 * LABELSETS_MAX; n++) {
		uint32_t pin = pins_enter();
		c.labels = label(n);
		CHECK(c.labels);
		pass_by(&c, 64);
		pins_leave(pin);
		if (n % 200 == 199 && labelsets_permille() > 750)
			look();
	}
	dropped = (uint32_t)labelsets_counters().dropped;
	CHECK(dropped == 0 && labelsets_counters().sets <= LABELSETS_MAX);
	labelsets_get(kept, &have);
	CHECK(have.count == 1 && memcmp(have.list[0].value.bytes, "1000000", 7) == 0);
	CHECK(label(1000000) == kept);
}
CASE(labels_that_never_repeat_find_room)

/* Libraries that come and go at changing places: what was never unloaded is not shown as
 * unloaded. */
static void places_that_no_stack_asks_about_are_free(void)
{
	struct capture lasting = stack_of(1, 20), c;
	uint64_t held_at = 0x70000000, stays = held_at + 0x1800;
	uint32_t held, stamp = unloads_stamp(&stays, 1);

	begin(8 * MIB);
	lasting.frames[3] = held_at + 8;
	held = stacks_site(&lasting, 64, ORIGIN_MALLOC);
	site_add_alloc(site_at(held), whole(1, 64));
	unloads_add(held_at, held_at + 0x1000);
	for (uint64_t n = 1; n < 150; n++) {
		uint64_t place = held_at + n * 0x2000;
		c = stack_of(2, 20);
		c.frames[5] = place + 8;
		pass_by(&c, 64);
		unloads_add(place, place + 0x1000);
		if (unloads_are_many())
			look();
	}
	CHECK(!unloads_since(stamp, stays));
	/* A stack in use keeps what it needs. */
	CHECK(unloads_since(stack_at(site_at(held)->stack)->unloads, held_at + 8));
}
CASE(places_that_no_stack_asks_about_are_free)

static void growth_over_a_pass_is_still_growth(void)
{
	struct scratch scratch = SCRATCH_INIT(64 * MIB);
	struct capture c = stack_of(1, 40), lasting = stack_of(0, 40);
	struct snapshot before, after, growth;
	int64_t objects = 0, bytes = 0, inuse = 0;
	uint32_t site;

	begin(4 * MIB);
	fill_to(2, 800, 40);
	site_add_alloc(site_at(stacks_site(&lasting, 8, ORIGIN_MALLOC)), whole(3, 24));
	site = stacks_site(&c, 64, ORIGIN_MALLOC);
	site_add_alloc(site_at(site), (struct weight){5 << 15, 5 * 64 << 7});
	CHECK(stacks_snapshot(&scratch, 0, &before) == 0);
	site_add_free(site_at(site), (struct weight){5 << 15, 5 * 64 << 7});
	look();
	fill_to(100000, 700, 24); /* other stacks in their place */
	CHECK(stacks_snapshot(&scratch, 0, &after) == 0);
	CHECK(stacks_difference(&scratch, &before, &after, &growth) == 0);
	for (size_t i = 0; i < growth.count; i++) {
		const struct tally *t = &growth.tallies[i];
		const struct stack *s = stack_at(site_at(t->site)->stack);
		CHECK(t->alloc_objects >= 0 && t->alloc_bytes >= 0);
		CHECK(t->inuse_bytes == 0 || s->end == CAPTURE_RECLAIMED);
		objects += t->alloc_objects;
		bytes += t->alloc_bytes;
		inuse += t->inuse_bytes;
	}
	CHECK(objects > 100 && bytes == 64 * objects);
	CHECK(inuse == -160); /* exactly what was freed */
	scratch_release(&scratch);
}
CASE(growth_over_a_pass_is_still_growth)

/* ---- many threads -------------------------------------------------------- */

#define THREADS 3
#define HELD    64
#define ROUNDS  10000

static bool over, is_odd;
static uint64_t made;

static void *come_and_go(void *arg)
{
	uint64_t r = (uint64_t)(uintptr_t)arg + 1;
	uint32_t held[HELD] = {0};

	for (int n = 0; n < ROUNDS || (stacks_reclaimed() < 300 && n < 1000 * ROUNDS); n++) {
		r = r * UINT64_C(6364136223846793005) + 1442695040888963407;
		struct capture c =
			is_odd ? odd_stack(r >> 44) : stack_of(r >> 50, 10 + (r >> 40) % 30);
		size_t i = (r >> 33) % HELD;
		uint32_t pin;
		if (held[i]) {
			site_add_free(site_at(held[i]), whole(1, 64));
			held[i] = 0;
			continue;
		}
		pin = pins_enter();
		held[i] = stacks_site(&c, 64, ORIGIN_MALLOC);
		CHECK(held[i]);
		site_add_alloc(site_at(held[i]), whole(1, 64));
		pins_leave(pin);
		ADD(&made, 1);
	}
	for (size_t i = 0; i < HELD; i++)
		if (held[i])
			site_add_free(site_at(held[i]), whole(1, 64));
	return NULL;
}

static int64_t stay; /* in use before and after */

static void *reclaim(void *arg)
{
	(void)arg;
	while (!LOAD(&over)) {
		struct tally all;
		stacks_reclaim_tick();
		all = sum();
		CHECK(all.inuse_objects >= stay &&
		      all.inuse_objects <= stay + THREADS * (HELD + 1));
		CHECK(all.alloc_objects >= all.inuse_objects);
	}
	return NULL;
}

static void record_from_threads(void)
{
	pthread_t threads[THREADS], reclaimer;
	struct tally all;

	CHECK(!pthread_create(&reclaimer, NULL, reclaim, NULL));
	for (uintptr_t t = 0; t < THREADS; t++)
		CHECK(!pthread_create(&threads[t], NULL, come_and_go, (void *)t));
	for (int t = 0; t < THREADS; t++)
		CHECK(!pthread_join(threads[t], NULL));
	STORE(&over, true);
	CHECK(!pthread_join(reclaimer, NULL));
	all = sum();
	CHECK(all.alloc_objects == (int64_t)made + stay &&
	      all.alloc_bytes == 64 * all.alloc_objects);
	CHECK(all.inuse_objects == stay && all.inuse_bytes == 64 * stay);
	CHECK(stacks_reclaimed() >= 300);
}

static void no_figure_is_lost_while_threads_record(void)
{
	begin(4 * MIB);
	record_from_threads();
}
CASE(no_figure_is_lost_while_threads_record)

/* Every third block of a full arena is freed: its room is reclaimed and reused continuously. */
static void threads_find_a_site_for_all_where_there_is_hardly_room(void)
{
	begin(4 * MIB);
	is_odd = true;
	stay = (int64_t)fill_with_what_stays(2);
	for (uint64_t n = 0; n < 9000; n += 3) {
		struct capture c = odd_stack(n);
		uint32_t site = stacks_site(&c, 64, n % 2);
		site_add_free(site_at(site), whole(1, 64));
	}
	made = 3000;
	stay -= 3000;
	record_from_threads();
}
CASE(threads_find_a_site_for_all_where_there_is_hardly_room)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day_of_churn_ends_as_it_began),
		cmocka_unit_test(test_a_burst_before_the_first_look_is_reclaimed),
		cmocka_unit_test(test_without_room_a_stack_keeps_its_ends),
		cmocka_unit_test(test_without_any_room_a_sample_keeps_its_origin),
		cmocka_unit_test(test_the_site_of_what_has_no_room_is_never_reclaimed),
		cmocka_unit_test(test_a_child_of_fork_finds_a_site_for_all),
		cmocka_unit_test(test_what_a_hook_has_found_stays),
		cmocka_unit_test(test_what_a_hook_has_found_stays_without_a_count_of_pins),
		cmocka_unit_test(test_what_is_noted_counts_until_a_pass_begins),
		cmocka_unit_test(test_what_a_mapping_refers_to_stays),
		cmocka_unit_test(test_labels_that_never_repeat_find_room),
		cmocka_unit_test(test_places_that_no_stack_asks_about_are_free),
		cmocka_unit_test(test_growth_over_a_pass_is_still_growth),
		cmocka_unit_test(test_no_figure_is_lost_while_threads_record),
		cmocka_unit_test(test_threads_find_a_site_for_all_where_there_is_hardly_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
