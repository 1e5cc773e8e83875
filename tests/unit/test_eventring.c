/* The ring of events: what a reader gets, what it loses, and that it knows how much. */
#include "child.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "region/region.h"
#include "record/eventring.h"
#include "record/sample.h"
#include "record/stacks.h"

#define PLACES      8192u /* with this region */
#define PLACE_BYTES 64

static struct eventring_reader reader;

static void begin(void)
{
	CHECK(region_init(64 * MIB) == 0 && stacks_init() == 0);
	clock_monotonic_ns();
	CHECK(eventring_open(&reader) == 0);
}

static struct live_block block_of(uint64_t n)
{
	return (struct live_block){
		.address = n, .size = 3 * n, .site = 0, .interval = 1, .tick = (uint32_t)n};
}

static void put(uint64_t n)
{
	struct live_block b = block_of(n);
	eventring_note(n % 2 ? EVENT_FREE : EVENT_ALLOC, &b);
}

/* All words are of one event. */
static bool is_whole(const struct event *e)
{
	return e->size == 3 * e->address && e->tick == (uint32_t)e->address && e->interval == 1 &&
	       e->kind == (e->address % 2 ? EVENT_FREE : EVENT_ALLOC) && e->thread > 0;
}

static void a_reader_gets_what_happens_from_now_on(void)
{
	struct event e;
	struct live_block b = block_of(0x1234);

	CHECK(region_init(64 * MIB) == 0 && stacks_init() == 0);
	clock_monotonic_ns();
	put(1); /* no reader: nothing happens */
	CHECK(eventring_read_now == NULL);
	CHECK(eventring_open(&reader) == 0);
	CHECK(!eventring_take(&reader, &e));
	b.interval = 4096;
	b.site = stacks_reclaimed_to(ORIGIN_MALLOC);
	eventring_note(EVENT_KEPT, &b);
	CHECK(eventring_take(&reader, &e));
	CHECK(e.kind == EVENT_KEPT && e.address == 0x1234 && e.size == 3 * 0x1234);
	CHECK(e.site == b.site && e.born == site_at(b.site)->born && e.interval == 4096);
	CHECK(e.stack == stack_at(site_at(b.site)->stack)->hash);
	CHECK(e.thread == (uint32_t)sample_thread_id() && e.tick == 0x1234);
	CHECK(e.time_ns > 0 && e.time_ns <= clock_monotonic_ns());
	CHECK(!eventring_take(&reader, &e) && reader.lost == 0);
}
CASE(a_reader_gets_what_happens_from_now_on)

static void a_slow_reader_gets_the_last_and_the_number_of_the_others(void)
{
	struct event e;
	uint64_t n = 0;

	begin();
	for (uint64_t round = 1; round <= 3; round++) { /* it wraps */
		for (uint64_t i = 0; i < PLACES + 100 * round; i++)
			put(++n);
		for (uint64_t i = 0; i < PLACES; i++)
			CHECK(eventring_take(&reader, &e) && is_whole(&e) &&
			      e.address == n - PLACES + 1 + i);
		CHECK(!eventring_take(&reader, &e));
	}
	CHECK(reader.lost == 600);
}
CASE(a_slow_reader_gets_the_last_and_the_number_of_the_others)

static void each_reader_reads_everything(void)
{
	struct eventring_reader other;
	struct event e;

	begin();
	put(1);
	CHECK(eventring_open(&other) == 0);
	put(2);
	CHECK(eventring_take(&reader, &e) && e.address == 1);
	CHECK(eventring_take(&other, &e) && e.address == 2);
	eventring_close();
	put(3);
	CHECK(eventring_take(&reader, &e) && e.address == 2);
	CHECK(eventring_take(&reader, &e) && e.address == 3);
	eventring_close();
	CHECK(eventring_read_now == NULL);
	put(4);
	CHECK(!eventring_take(&reader, &e));
	eventring_close(); /* once too often */
	CHECK(eventring_open(&other) == 0 && eventring_read_now != NULL);
}
CASE(each_reader_reads_everything)

/* The turn of a place: see eventring.c. */
static uint64_t *turn_of(uint64_t number)
{
	return (uint64_t *)((char *)eventring_read_now + PLACE_BYTES * (1 + number % PLACES));
}

/* A thread that is stopped for good while it writes costs the events of its place. */
static void a_writer_that_never_ends_delays_nobody(void)
{
	struct event e;

	begin();
	STORE(turn_of(1), 2 * 1 + 1);
	for (uint64_t n = 0; n < 3; n++)
		put(n);
	CHECK(eventring_take(&reader, &e) && e.address == 0);
	while (!eventring_take(&reader, &e)) /* it may still come */
		CHECK(reader.next == 1);
	CHECK(e.address == 2 && reader.lost == 1);
	for (uint64_t n = 3; n < PLACES + 3; n++)
		put(n);
	CHECK(*turn_of(1) == 3); /* the place is still that writer's */
	reader.lost = 0;
	uint64_t got = 0;
	while (reader.next < PLACES + 3)
		if (eventring_take(&reader, &e)) {
			CHECK(is_whole(&e));
			got++;
		}
	CHECK(got + reader.lost == PLACES && reader.lost == 1);
}
CASE(a_writer_that_never_ends_delays_nobody)

/* One that was overtaken by a whole turn does not write over later events. */
static void an_overtaken_writer_leaves_the_place(void)
{
	struct event e;

	begin();
	STORE(turn_of(0), 2 * PLACES + 2);
	put(0);
	CHECK(*turn_of(0) == 2 * PLACES + 2);
	CHECK(!eventring_take(&reader, &e) && reader.lost == 1);
}
CASE(an_overtaken_writer_leaves_the_place)

/* ---- many threads -------------------------------------------------------- */

#define WRITERS 4
#define EACH    60000

static uint32_t writing = WRITERS;

static void *write_many(void *first)
{
	for (uint64_t i = 0; i < EACH; i++)
		put((uintptr_t)first + i);
	__atomic_fetch_sub(&writing, 1, __ATOMIC_ACQ_REL);
	return NULL;
}

static void events_are_whole_while_they_are_overwritten(void)
{
	pthread_t threads[WRITERS];
	uint64_t got = 0, last[WRITERS] = {0};
	struct event e;

	begin();
	for (uintptr_t t = 0; t < WRITERS; t++)
		CHECK(!pthread_create(&threads[t], NULL, write_many, (void *)(t * EACH + 1)));
	while (LOAD_ACQ(&writing) > 0 || reader.next < WRITERS * EACH) {
		if (!eventring_take(&reader, &e))
			continue;
		uint64_t writer = (e.address - 1) / EACH;
		CHECK(is_whole(&e) && writer < WRITERS && e.address > last[writer]);
		last[writer] = e.address;
		got++;
	}
	for (int t = 0; t < WRITERS; t++)
		CHECK(!pthread_join(threads[t], NULL));
	CHECK(!eventring_take(&reader, &e));
	CHECK(got > 0 && got + reader.lost == WRITERS * EACH);
}
CASE(events_are_whole_while_they_are_overwritten)

/* ---- memory, fork --------------------------------------------------------- */

static void without_memory_there_is_no_ring_until_there_is(void)
{
	CHECK(region_init(4 * MIB) == 0 && stacks_init() == 0);
	struct scratch all = SCRATCH_INIT(region_scratch_max_bytes());
	CHECK(scratch_alloc(&all, region_scratch_max_bytes() - 2 * PAGE_BYTES) != NULL);
	CHECK(eventring_open(&reader) == -1 && eventring_read_now == NULL);
	put(1);
	scratch_release(&all);
	CHECK(eventring_open(&reader) == 0);
	/* and it is a small one */
	CHECK(region_scratch_max_bytes() - PAGE_BYTES >= PLACE_BYTES * 1024);
	for (uint64_t n = 0; n < 5000; n++)
		put(n);
	struct event e;
	uint64_t got = 0;
	while (eventring_take(&reader, &e))
		got++;
	CHECK(got == 1024 && got + reader.lost == 5000);
}
CASE(without_memory_there_is_no_ring_until_there_is)

static void a_child_writes_nothing_for_its_parents_readers(void)
{
	struct event e;

	begin();
	eventring_after_fork_in_child();
	region_forget_scratch();
	put(1);
	CHECK(eventring_read_now == NULL && eventring_open(&reader) == 0);
	put(2);
	CHECK(eventring_take(&reader, &e) && e.address == 2);
}
CASE(a_child_writes_nothing_for_its_parents_readers)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_reader_gets_what_happens_from_now_on),
		cmocka_unit_test(test_a_slow_reader_gets_the_last_and_the_number_of_the_others),
		cmocka_unit_test(test_each_reader_reads_everything),
		cmocka_unit_test(test_a_writer_that_never_ends_delays_nobody),
		cmocka_unit_test(test_an_overtaken_writer_leaves_the_place),
		cmocka_unit_test(test_events_are_whole_while_they_are_overwritten),
		cmocka_unit_test(test_without_memory_there_is_no_ring_until_there_is),
		cmocka_unit_test(test_a_child_writes_nothing_for_its_parents_readers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
