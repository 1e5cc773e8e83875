/* When the interval doubles and when it recovers; the test sets the cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "region/region.h"
#include "config/config.h"
#include "record/budget.h"
#include "record/control.h"
#include "record/live.h"
#include "record/sample.h"

static void a_share_above_the_bound_doubles_as_often_as_it_takes(void **state)
{
	(void)state;
	assert_int_equal(budget_judge_cpu(0, 10000, 10000), 0);
	assert_int_equal(budget_judge_cpu(0, 10001, 10000), 1);
	assert_int_equal(budget_judge_cpu(0, 20000, 10000), 1);
	assert_int_equal(budget_judge_cpu(3, 80008, 10000), 7);
	assert_int_equal(budget_judge_cpu(29, UINT64_MAX, 100), 30);
}

/* Halving doubles the cost: it must not exceed the bound again immediately. */
static void it_halves_one_step_at_a_time_and_only_when_calm(void **state)
{
	(void)state;
	assert_int_equal(budget_judge_cpu(5, 2501, 10000), 5);
	assert_int_equal(budget_judge_cpu(5, 2500, 10000), 4);
	assert_int_equal(budget_judge_cpu(1, 0, 10000), 0);
	assert_int_equal(budget_judge_cpu(0, 0, 10000), 0);
}

static void tables_that_fill_up_ask_for_ever_more(void **state)
{
	(void)state;
	assert_int_equal(budget_judge_room(0, 0, 1024), 0);
	assert_int_equal(budget_judge_room(0, 767, 1024), 0);
	assert_int_equal(budget_judge_room(0, 768, 1024), 1);
	assert_int_equal(budget_judge_room(0, 896, 1024), 2);
	assert_int_equal(budget_judge_room(0, 960, 1024), 3);
	assert_int_equal(budget_judge_room(0, 1024, 1024), 30);
	assert_int_equal(budget_judge_room(0, 2000, 1024), 30);
}

static void a_block_more_or_less_does_not_change_it(void **state)
{
	(void)state;
	assert_int_equal(budget_judge_room(1, 767, 1024), 1);
	assert_int_equal(budget_judge_room(1, 704, 1024), 1);
	assert_int_equal(budget_judge_room(1, 703, 1024), 0);
	assert_int_equal(budget_judge_room(30, 0, 1024), 0);
}

/* All of a core since the last measurement: far above any bound. */
static void spend_all(void)
{
	ADD(&budget_spent.recording, UINT64_C(1) << 40);
}

static void a_new_interval_starts_from_itself(void **state)
{
	(void)state;
	budget_init(10000, false);
	assert_int_equal(budget_doublings(4096, true), 0);
	spend_all();
	assert_true(budget_doublings(4096, false) > 5);
	assert_true(budget_get().is_cpu);
	assert_false(budget_get().is_room);
	assert_true(budget_get().cpu_ppm > 10000);
	spend_all();
	assert_int_equal(budget_doublings(8192, true), 0);
	assert_false(budget_get().is_cpu);
	assert_int_equal(budget_doublings(8192, false), 0); /* earlier measurements do not count */
}

static void an_interval_of_1_stays_exact_unless_a_bound_was_named(void **state)
{
	(void)state;
	budget_init(10000, false);
	budget_doublings(1, true);
	spend_all();
	assert_int_equal(budget_doublings(1, false), 0);
	assert_int_equal(budget_get().max_cpu_ppm, 0);
	assert_true(budget_get().cpu_ppm > 10000); /* it is reported all the same */

	budget_init(10000, true);
	budget_doublings(1, true);
	spend_all();
	assert_true(budget_doublings(1, false) > 5);
	assert_int_equal(budget_get().max_cpu_ppm, 10000);
}

/* A longer interval does not make future frees cheaper. */
static void what_frees_cost_raises_nothing(void **state)
{
	(void)state;
	budget_init(10000, false);
	budget_doublings(4096, true);
	ADD(&budget_spent.freeing, UINT64_C(1) << 40);
	assert_int_equal(budget_doublings(4096, false), 0);
	assert_true(budget_get().free_cpu_ppm > 10000);
	assert_true(budget_get().cpu_ppm < 10000);
}

static void it_goes_no_further_than_is_of_use_and_says_so(void **state)
{
	(void)state;
	budget_init(10000, false);
	budget_doublings(524288, true);
	assert_false(budget_get().is_coarsest);
	spend_all();
	assert_int_equal(budget_doublings(524288, false), 4); /* 8 MiB */
	assert_true(budget_get().is_cpu && budget_get().is_coarsest);
	assert_int_equal(budget_doublings(524288, false), 3); /* so it soon recovers */
	assert_false(budget_get().is_coarsest);
	budget_doublings(16 << 20, true);
	spend_all();
	assert_int_equal(budget_doublings(16 << 20, false), 0);
	assert_true(budget_get().is_coarsest);

	budget_init(10000, true); /* an explicit bound is enforced */
	budget_doublings(524288, true);
	spend_all();
	assert_true(budget_doublings(524288, false) > 4);
	assert_false(budget_get().is_coarsest);
}

static void put_blocks(uint64_t from, uint64_t count)
{
	for (uint64_t i = from; i < from + count; i++) {
		struct live_block stale, block = {.address = i * 64, .size = 8, .interval = 4096};
		if (live_put(&block, &stale) < 0)
			fail_msg("no room for block %d", (int)i);
	}
}

static void full_tables_coarsen_and_empty_ones_do_not(void **state)
{
	struct live_block out;
	(void)state;
	budget_init(1000000, false);
	budget_doublings(4096, true);
	put_blocks(1, live_capacity() / 4 * 3);
	assert_int_equal(budget_doublings(4096, false), 1);
	assert_true(budget_get().is_room);
	assert_false(budget_get().is_cpu);
	assert_int_equal(budget_doublings(1, false), 0); /* exact */
	live_take((void *)64, &out);
	assert_int_equal(budget_doublings(4096, true), 0);
	put_blocks(1, 1);
	assert_int_equal(budget_doublings(4096, false), 1);
	for (uint64_t i = 1; i <= live_capacity() / 4; i++)
		live_take((void *)(i * 64), &out);
	assert_int_equal(budget_doublings(4096, false), 0);
}

/* ---- and back, however it was raised -------------------------------------- */

/* After one second of a process with default settings; returns the interval in force. */
static uint32_t interval_after_a_look(void)
{
	uint64_t before = arch_ticks();

	while (arch_ticks() == before) /* a counter may be slow */
		;
	uint32_t interval = CONFIG_DEFAULT_SAMPLE_BYTES
			    << budget_doublings(CONFIG_DEFAULT_SAMPLE_BYTES, false);

	assert_true(interval >= CONFIG_DEFAULT_SAMPLE_BYTES && interval <= BUDGET_COARSEST_BYTES);
	return interval;
}

/* It falls one step per measurement and never rises meanwhile. */
static void assert_it_comes_back(uint32_t from)
{
	for (uint32_t expected = from / 2; expected >= CONFIG_DEFAULT_SAMPLE_BYTES; expected /= 2)
		assert_int_equal(interval_after_a_look(), expected);
	for (int i = 0; i < 100; i++)
		assert_int_equal(interval_after_a_look(), CONFIG_DEFAULT_SAMPLE_BYTES);
	assert_false(budget_get().is_cpu || budget_get().is_room || budget_get().is_coarsest);
}

static void a_cost_that_ends_is_forgotten(void **state)
{
	(void)state;
	budget_init(10000, false);
	budget_doublings(CONFIG_DEFAULT_SAMPLE_BYTES, true);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			spend_all();
			assert_int_equal(interval_after_a_look(), BUDGET_COARSEST_BYTES);
			assert_true(budget_get().is_cpu && budget_get().is_coarsest);
		}
		assert_it_comes_back(BUDGET_COARSEST_BYTES);
	}
}

static void tables_that_empty_are_forgotten(void **state)
{
	struct live_block out;
	uint64_t all = live_capacity() - live_count(), first = UINT64_C(1) << 30;
	(void)state;
	budget_init(10000, false);
	budget_doublings(CONFIG_DEFAULT_SAMPLE_BYTES, true);
	put_blocks(first, all);
	for (int i = 0; i < 100; i++) {
		spend_all();
		assert_int_equal(interval_after_a_look(), BUDGET_COARSEST_BYTES);
	}
	for (int i = 0; i < 100; i++) /* the cost ends, but the tables are still full */
		assert_int_equal(interval_after_a_look(), BUDGET_COARSEST_BYTES);
	assert_true(budget_get().is_room && budget_get().is_coarsest);
	for (uint64_t i = first; i < first + all; i++)
		assert_true(live_take((void *)(i * 64), &out));
	assert_int_equal(interval_after_a_look(), CONFIG_DEFAULT_SAMPLE_BYTES);
	assert_false(budget_get().is_room || budget_get().is_coarsest);
}

/* A record that was interrupted for a second must not count as a second of work. */
static void an_interrupted_record_counts_for_little(void **state)
{
	uint64_t spent = 0;
	(void)state;
	budget_end(&spent, budget_begin(false) - (UINT64_C(1) << 33), false);
	assert_int_equal(spent, BUDGET_LONGEST_TICKS);
	budget_end(&spent, budget_begin(false), false);
	assert_true(spent < 2 * BUDGET_LONGEST_TICKS);
}

/* Each counts for those not measured, so that all together count as often as there are records. */
static void of_exact_records_one_in_some_is_measured(void **state)
{
	uint64_t spent = 0, measured = 0, longest = 0, gap = 0;
	const uint64_t records = 100000;

	(void)state;
	for (uint64_t i = 0; i < records; i++) {
		gap++;
		if (!budget_begin(true))
			continue;
		measured++;
		longest = gap > longest ? gap : longest;
		gap = 0;
		budget_end(&spent, budget_begin(false) - 2 * BUDGET_LONGEST_TICKS, true);
	}
	assert_in_range(measured * BUDGET_ONE_IN, records * 99 / 100, records * 101 / 100);
	assert_true(longest < 4 * BUDGET_ONE_IN);
	assert_int_equal(spent, measured * BUDGET_ONE_IN * BUDGET_LONGEST_TICKS);
	for (uint64_t i = 0; i < records; i++)
		assert_true(budget_begin(false));
}

/* ---- through control ---------------------------------------------------- */

static uint32_t asked_for;

static uint32_t doubling(uint32_t sample_bytes, bool restarted)
{
	(void)sample_bytes;
	return restarted ? 0 : asked_for;
}

static void wait_and_tick(void)
{
	struct timespec t = {.tv_sec = 1, .tv_nsec = 1000000};
	nanosleep(&t, NULL);
	assert_true(control_tick() <= UINT64_C(1000000000));
}

static void assert_interval(uint32_t in_force, uint32_t configured)
{
	assert_int_equal(control_get().sample_bytes, in_force);
	assert_int_equal(control_get().configured_sample_bytes, configured);
	assert_int_equal(sample_interval(), in_force);
}

static void control_asks_once_a_second_and_obeys(void **state)
{
	(void)state;
	control_init(&(struct control_start){.sample_bytes = 65536, .doublings = doubling});
	asked_for = 3;
	control_tick();
	assert_interval(65536, 65536); /* a second has not passed */
	wait_and_tick();
	assert_interval(524288, 65536);
	asked_for = 30;
	wait_and_tick();
	assert_interval(1u << 30, 65536); /* at the coarsest interval */
	control_sampling(true, 4096, 0);
	assert_interval(4096, 4096);
	asked_for = 1;
	wait_and_tick();
	assert_interval(8192, 4096);
	control_sampling(false, 0, 0);
	assert_int_equal(sample_interval(), 0);
}

static uint32_t room_doublings, room_asked;
static bool room_fills;

static bool room(uint32_t sample_bytes, uint32_t *doublings)
{
	(void)sample_bytes;
	room_asked++;
	*doublings = room_doublings;
	return room_fills;
}

static void wait_ms(long ms)
{
	struct timespec t = {.tv_nsec = ms * 1000000};
	nanosleep(&t, NULL);
}

/* A burst can fill, in less than a second, tables that the last check found half empty. */
static void tables_that_fill_are_looked_at_more_often(void **state)
{
	(void)state;
	asked_for = 0;
	room_fills = true;
	control_init(&(struct control_start){
		.sample_bytes = 65536, .doublings = doubling, .look_at_room = room});
	wait_and_tick();
	assert_int_equal(room_asked, 1);
	room_doublings = 2;
	wait_ms(51);
	assert_true(control_tick() <= UINT64_C(50000000));
	assert_interval(262144, 65536);
	room_fills = false;
	room_doublings = 0;
	wait_ms(51);
	control_tick();
	assert_interval(65536, 65536);
	assert_int_equal(room_asked, 3);
	wait_ms(51);
	control_tick();
	assert_int_equal(room_asked, 3);
}

static int set_up(void **state)
{
	(void)state;
	return region_init(4 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_share_above_the_bound_doubles_as_often_as_it_takes),
		cmocka_unit_test(it_halves_one_step_at_a_time_and_only_when_calm),
		cmocka_unit_test(tables_that_fill_up_ask_for_ever_more),
		cmocka_unit_test(a_block_more_or_less_does_not_change_it),
		cmocka_unit_test(a_new_interval_starts_from_itself),
		cmocka_unit_test(an_interval_of_1_stays_exact_unless_a_bound_was_named),
		cmocka_unit_test(what_frees_cost_raises_nothing),
		cmocka_unit_test(it_goes_no_further_than_is_of_use_and_says_so),
		cmocka_unit_test(full_tables_coarsen_and_empty_ones_do_not),
		cmocka_unit_test(a_cost_that_ends_is_forgotten),
		cmocka_unit_test(tables_that_empty_are_forgotten),
		cmocka_unit_test(an_interrupted_record_counts_for_little),
		cmocka_unit_test(of_exact_records_one_in_some_is_measured),
		cmocka_unit_test(control_asks_once_a_second_and_obeys),
		cmocka_unit_test(tables_that_fill_are_looked_at_more_often),
	};
	return cmocka_run_group_tests_name("budget", tests, set_up, NULL);
}
