/*
 * Baselines for growth: separate while there is plenty of memory, shared when it is short, and
 * never more than there are places to wait.
 */
#include "base/clock.h"
#include "profile/baseline.h"

#include "fixture.h"

static int setup(void **state)
{
	(void)state;
	return region != NULL ? 0 : region_init(8 * MIB); /* including 2 MiB of scratch */
}

static struct baseline *filled(uint64_t min_age_ns, size_t bytes)
{
	struct baseline *b = baseline_new(min_age_ns);
	assert_non_null(b);
	b->snapshot.time_ns = clock_monotonic_ns();
	assert_non_null(scratch_alloc(&b->scratch, bytes));
	return b;
}

static void is_not_shared_while_there_is_room(void **state)
{
	(void)state;
	struct baseline *a = filled(0, 4096);
	assert_null(baseline_share(0, false));
	struct baseline *b = filled(0, 4096);
	assert_ptr_not_equal(a, b);
	baseline_release(a);
	baseline_release(b);
}

static void is_shared_where_memory_is_short(void **state)
{
	(void)state;
	struct baseline *a = filled(0, 600 * KIB);
	assert_ptr_equal(baseline_share(0, false), a);
	assert_null(baseline_share(1, false)); /* for blocks of that age */
	assert_null(baseline_share(0, true));  /* with Go's heap */
	/* The second user keeps it, and the last one frees its memory. */
	baseline_release(a);
	assert_int_equal(a->users, 1);
	assert_true(a->scratch.mapped_bytes > 0);
	a->snapshot.time_ns -= UINT64_C(2000000000);
	assert_null(baseline_share(0, false)); /* too old */
	baseline_release(a);
	assert_int_equal(a->users, 0);
	assert_int_equal(a->scratch.mapped_bytes, 0);
	baseline_release(NULL);
}

static void users_are_bounded(void **state)
{
	struct baseline *all[BASELINES_MAX];
	(void)state;
	all[0] = filled(0, 600 * KIB);
	for (int i = 1; i < BASELINES_MAX; i++) {
		assert_false(baseline_is_full());
		all[i] = baseline_share(0, false);
		assert_ptr_equal(all[i], all[0]);
	}
	assert_true(baseline_is_full());
	for (int i = 0; i < BASELINES_MAX; i++)
		baseline_release(all[i]);
	assert_false(baseline_is_full());
}

/* A host with few descriptors has few places to wait. */
static void places_follow_the_limit(void **state)
{
	(void)state;
	baseline_set_places(1);
	assert_int_equal(baseline_places(), 1);
	struct baseline *b = filled(0, 4096);
	assert_true(baseline_is_full());
	baseline_release(b);
	assert_false(baseline_is_full());
	baseline_set_places(1000000);
	assert_int_equal(baseline_places(), BASELINES_MAX);
}

static void a_child_of_fork_has_none(void **state)
{
	(void)state;
	filled(0, 600 * KIB);
	baseline_forget_all();
	assert_false(baseline_is_full());
	assert_null(baseline_share(0, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_not_shared_while_there_is_room, setup),
		cmocka_unit_test_setup(is_shared_where_memory_is_short, setup),
		cmocka_unit_test_setup(users_are_bounded, setup),
		cmocka_unit_test_setup(places_follow_the_limit, setup),
		cmocka_unit_test_setup(a_child_of_fork_has_none, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
