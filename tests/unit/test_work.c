/* The budget of a thread's work, in CPU time. */
#include "child.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/work.h"

static uint64_t spent_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void without_one_all_goes_on(void)
{
	for (int i = 0; i < 1000; i++)
		CHECK(work_may_go_on(UINT32_MAX) && work_may_go_on_first_half(UINT32_MAX));
	CHECK(!work_was_cut());
}
CASE(without_one_all_goes_on)

/* Steps that cost almost nothing, with estimates to match. */
static void it_ends_by_processor_time(void)
{
	uint64_t start = spent_ns();
	work_begin(20000000);
	while (work_may_go_on(100))
		CHECK(spent_ns() - start < 1000000000);
	CHECK(spent_ns() - start >= 20000000 && work_was_cut());
	CHECK(!work_may_go_on(0)); /* stays false */
	work_end();
	CHECK(work_may_go_on(1000000) && work_was_cut()); /* until the next begin */
	work_begin(1000000000);
	CHECK(!work_was_cut() && work_may_go_on(1000000));
	usleep(50000); /* waiting costs no CPU time */
	work_begin(20000000);
	usleep(50000);
	CHECK(work_may_go_on(1000000) && !work_was_cut());
}
CASE(it_ends_by_processor_time)

static void what_can_be_done_without_ends_at_half(void)
{
	uint64_t start = spent_ns();
	work_begin(100000000);
	while (work_may_go_on_first_half(1000))
		;
	CHECK(spent_ns() - start >= 50000000 && work_was_cut());
	CHECK(work_may_go_on(0));
	while (work_may_go_on(1000))
		;
	CHECK(spent_ns() - start >= 100000000);
}
CASE(what_can_be_done_without_ends_at_half)

/* Rests depend on CPU time, not on elapsed time. */
static void it_rests_by_processor_time(void)
{
	struct work_rest rest = {0};
	uint64_t begun = work_cpu_ns(), before = spent_ns();

	CHECK(begun <= before);
	usleep(50000);
	work_rest_after(&rest, work_cpu_ns() - begun);
	CHECK(!work_is_resting(&rest));
	while (work_cpu_ns() - begun < 60000000)
		;
	CHECK(spent_ns() - before >= 50000000);
	work_rest_after(&rest, work_cpu_ns() - begun);
	CHECK(work_is_resting(&rest));
	work_rest_end(&rest);
	CHECK(!work_is_resting(&rest));
}
CASE(it_rests_by_processor_time)

static void *another(void *unused)
{
	CHECK(work_may_go_on(UINT32_MAX));
	return unused;
}

static void it_is_one_threads(void)
{
	pthread_t thread;
	work_begin(1);
	while (work_may_go_on(1000000))
		;
	CHECK(pthread_create(&thread, NULL, another, NULL) == 0 && pthread_join(thread, NULL) == 0);
}
CASE(it_is_one_threads)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_one_all_goes_on),
		cmocka_unit_test(test_it_ends_by_processor_time),
		cmocka_unit_test(test_what_can_be_done_without_ends_at_half),
		cmocka_unit_test(test_it_rests_by_processor_time),
		cmocka_unit_test(test_it_is_one_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
