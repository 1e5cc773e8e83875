/* Sampling on and off, its interval and its time limit; the test plays the sampler. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "record/control.h"
#include "record/sample.h"
#include "testclock.h"

static struct {
	uint32_t interval;
	int sets, nudges;
} sampler;

void sample_set_interval(uint32_t interval)
{
	sampler.interval = interval;
	sampler.sets++;
}

void sample_nudge(void)
{
	sampler.nudges++;
}

static struct {
	int calls;
	bool on, settled, satisfied;
} follower;

static bool follow(bool on, bool settled)
{
	follower.calls++;
	follower.on = on;
	follower.settled = settled;
	return on || follower.satisfied;
}

static int reset(void **state)
{
	(void)state;
	follower.satisfied = true;
	control_init(&(struct control_start){.sample_bytes = 524288, .follow = follow});
	sampler.sets = sampler.nudges = 0;
	follower.calls = 0;
	return 0;
}

/* Ticks as the server's loop does, until control needs no more ticks. */
static void tick_to_rest(void)
{
	uint64_t wait;
	while ((wait = control_tick()) != UINT64_MAX)
		testclock_advance(wait);
}

static void assert_state(bool on, uint32_t sample_bytes, uint32_t interval)
{
	struct control_state s = control_get();
	assert_int_equal(s.on, on);
	assert_int_equal(s.sample_bytes, sample_bytes);
	assert_int_equal(sampler.interval, interval);
}

/* Repeating a command does not change it. */
static void time_off_is_counted(void **state)
{
	uint64_t before, off;

	(void)state;
	before = control_get().off_ns;
	testclock_advance(2000000);
	assert_true(control_get().off_ns == before);
	control_sampling(false, 0, 0);
	testclock_advance(2000000);
	control_sampling(false, 0, 0);
	testclock_advance(2000000);
	off = control_get().off_ns - before;
	assert_true(off >= 4000000);
	control_sampling(true, 0, 0);
	off = control_get().off_ns;
	testclock_advance(2000000);
	assert_true(control_get().off_ns == off);
	control_init(&(struct control_start){
		.sample_bytes = 4096, .follow = follow, .is_dormant = true});
	testclock_advance(2000000);
	assert_true(control_get().off_ns >= 2000000);
}

/* Repeating a command is not a break. */
static void time_on_is_since_the_last_break(void **state)
{
	(void)state;
	control_sampling(false, 0, 0);
	assert_true(control_get().on_ns == 0);
	control_sampling(true, 0, 0);
	testclock_advance(2000000);
	control_sampling(true, 8192, 0);
	assert_true(control_get().on_ns >= 2000000);
	control_sampling(false, 0, 0);
	testclock_advance(2000000);
	uint64_t before = clock_monotonic_ns();
	control_sampling(true, 0, 0);
	assert_true(control_get().on_ns <= clock_monotonic_ns() - before);
}

static void starts_sampling_and_wants_no_time(void **state)
{
	(void)state;
	control_init(&(struct control_start){.sample_bytes = 4096, .follow = follow});
	assert_state(true, 4096, 4096);
	assert_int_equal(control_get().remaining_ns, 0);
	assert_true(control_tick() == UINT64_MAX);
	assert_int_equal(sampler.nudges, 0);
}

static void starts_dormant_and_knows_its_interval(void **state)
{
	(void)state;
	control_init(&(struct control_start){
		.sample_bytes = 4096, .follow = follow, .is_dormant = true});
	assert_state(false, 4096, 0);
	control_sampling(true, 0, 0);
	assert_state(true, 4096, 4096);
}

static void interval_0_keeps_the_last_one(void **state)
{
	(void)state;
	control_sampling(true, 777, 0);
	assert_state(true, 777, 777);
	control_sampling(false, 0, 0);
	assert_state(false, 777, 0);
	control_sampling(true, 0, 0);
	assert_state(true, 777, 777);
}

static void a_limited_sampling_ends_itself(void **state)
{
	(void)state;
	control_sampling(true, 8, 30000000);
	struct control_state s = control_get();
	assert_in_range(s.remaining_ns, 1, 30000000);
	tick_to_rest();
	assert_state(false, 8, 0);
	assert_int_equal(control_get().remaining_ns, 0);
	assert_int_equal(sampler.sets, 2);
}

/* Past its end but not yet ticked: not "without limit". */
static void an_end_that_has_passed_is_still_an_end(void **state)
{
	(void)state;
	control_sampling(true, 8, 1);
	testclock_advance(1000);
	assert_true(control_get().on);
	assert_int_equal(control_get().remaining_ns, 1);
	control_tick();
	assert_false(control_get().on);
}

static void a_new_word_replaces_the_limit(void **state)
{
	(void)state;
	control_sampling(true, 0, 3600 * UINT64_C(1000000000));
	assert_true(control_get().remaining_ns > 0);
	control_sampling(true, 0, 0);
	assert_int_equal(control_get().remaining_ns, 0);
	control_sampling(true, 0, 1);
	control_sampling(false, 0, 0);
	assert_int_equal(control_get().remaining_ns, 0);
	tick_to_rest();
	assert_state(false, 524288, 0);
}

static void a_limit_past_the_end_of_time_is_none(void **state)
{
	(void)state;
	control_sampling(true, 0, UINT64_MAX);
	assert_int_equal(control_get().remaining_ns, 0);
	assert_true(control_get().on);
}

static void off_with_a_limit_has_none(void **state)
{
	(void)state;
	control_sampling(false, 0, 1000000);
	assert_int_equal(control_get().remaining_ns, 0);
	tick_to_rest();
	assert_state(false, 524288, 0);
}

static void a_change_is_nudged_for_a_second_and_then_not(void **state)
{
	(void)state;
	control_sampling(true, 99, 0);
	assert_int_equal(sampler.nudges, 0); /* the caller's thread only sets the state */
	uint64_t wait = control_tick();
	assert_int_equal(sampler.nudges, 1);
	assert_in_range(wait, 1, 50000000);
	tick_to_rest();
	assert_int_equal(sampler.nudges, 20);
	assert_true(control_tick() == UINT64_MAX);
	assert_int_equal(sampler.nudges, 20);
}

static void ticks_in_quick_succession_nudge_once(void **state)
{
	(void)state;
	uint64_t before = clock_monotonic_ns();
	control_sampling(true, 99, 0);
	for (int i = 0; i < 50; i++)
		control_tick();
	uint64_t passed = clock_monotonic_ns() - before;
	assert_in_range(sampler.nudges, 1, 1 + passed / 50000000);
}

static void the_follower_is_told_before_allocations_are_to_be_looked_at(void **state)
{
	(void)state;
	control_sampling(false, 0, 0);
	assert_int_equal(follower.calls, 1);
	assert_false(follower.on);
	assert_false(follower.settled); /* a thread may still be recording */
	control_sampling(true, 0, 0);
	assert_int_equal(follower.calls, 2);
	assert_true(follower.on);
}

static void the_follower_is_asked_again_until_it_is_satisfied(void **state)
{
	(void)state;
	follower.satisfied = false;
	control_sampling(false, 0, 0);
	uint64_t begin = clock_monotonic_ns();
	for (uint64_t wait = control_tick(); follower.calls < 2; wait = control_tick())
		testclock_advance(wait);
	assert_true(clock_monotonic_ns() - begin >= 2000000000);
	assert_false(follower.on);
	assert_true(follower.settled);
	assert_true(control_tick() != UINT64_MAX); /* not yet: it needs another call */
	follower.satisfied = true;
	control_sampling(true, 0, 0); /* not needed once sampling is on again */
	tick_to_rest();
	assert_int_equal(follower.calls, 3);
}

static void a_dormant_start_is_settled_at_once(void **state)
{
	(void)state;
	control_init(&(struct control_start){
		.sample_bytes = 524288, .follow = follow, .is_dormant = true});
	assert_false(follower.on);
	assert_true(follower.settled);
	assert_true(control_tick() == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(time_off_is_counted, reset),
		cmocka_unit_test_setup(time_on_is_since_the_last_break, reset),
		cmocka_unit_test_setup(starts_sampling_and_wants_no_time, reset),
		cmocka_unit_test_setup(starts_dormant_and_knows_its_interval, reset),
		cmocka_unit_test_setup(interval_0_keeps_the_last_one, reset),
		cmocka_unit_test_setup(a_limited_sampling_ends_itself, reset),
		cmocka_unit_test_setup(an_end_that_has_passed_is_still_an_end, reset),
		cmocka_unit_test_setup(a_new_word_replaces_the_limit, reset),
		cmocka_unit_test_setup(a_limit_past_the_end_of_time_is_none, reset),
		cmocka_unit_test_setup(off_with_a_limit_has_none, reset),
		cmocka_unit_test_setup(a_change_is_nudged_for_a_second_and_then_not, reset),
		cmocka_unit_test_setup(ticks_in_quick_succession_nudge_once, reset),
		cmocka_unit_test_setup(the_follower_is_told_before_allocations_are_to_be_looked_at,
				       reset),
		cmocka_unit_test_setup(the_follower_is_asked_again_until_it_is_satisfied, reset),
		cmocka_unit_test_setup(a_dormant_start_is_settled_at_once, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
