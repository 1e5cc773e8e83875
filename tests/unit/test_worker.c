/* A call that returns, one that does not return in time, and what is refused meanwhile. */
#include "child.h"

#include <pthread.h>

#include "base/work.h"
#include "record/sample.h"
#include "hook/ownthread.h"
#include "hook/real.h"
#include "account/worker.h"

#define LONG_NS UINT64_C(60000000000)

static void note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

static void runs_elsewhere(void)
{
	pthread_t seen = pthread_self();
	CHECK(worker_run(note_thread, &seen, LONG_NS) == -1); /* not started */
	CHECK(pthread_equal(seen, pthread_self()));
	real_resolve();
	CHECK(worker_start() == 0 && worker_start() == 0);
	for (int i = 0; i < 1000; i++) {
		seen = pthread_self();
		CHECK(worker_run(note_thread, &seen, LONG_NS) == 0);
		CHECK(!pthread_equal(seen, pthread_self()));
	}
	CHECK(!worker_is_busy());
}
CASE(runs_elsewhere)

static void note_busy(void *arg)
{
	*(int *)arg = sample_self.busy;
}

/* The allocator's calls there are not the host's. */
static void counts_as_own(void)
{
	int busy = -1;
	real_resolve();
	CHECK(worker_start() == 0);
	CHECK(worker_run(note_busy, &busy, LONG_NS) == 0 && busy == BUSY_OWN);
}
CASE(counts_as_own)

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static int passes;

static void take_lock(void *arg)
{
	pthread_mutex_lock(&held);
	++*(int *)arg;
	pthread_mutex_unlock(&held);
}

static void a_lock_that_is_held(void)
{
	real_resolve();
	CHECK(worker_start() == 0);
	pthread_mutex_lock(&held);
	CHECK(worker_run(take_lock, &passes, 1000000) == -1);
	CHECK(worker_is_busy() && __atomic_load_n(&passes, __ATOMIC_SEQ_CST) == 0);
	CHECK(worker_run(take_lock, &passes, LONG_NS) == -1); /* at once */
	pthread_mutex_unlock(&held);
	while (worker_is_busy())
		usleep(1000);
	CHECK(passes == 1);
	CHECK(worker_run(take_lock, &passes, LONG_NS) == 0 && passes == 2);
}
CASE(a_lock_that_is_held)

/* Waiting is bounded by the answer's time, however long the call may take. */
static void within_the_work(void)
{
	real_resolve();
	CHECK(worker_start() == 0);
	pthread_mutex_lock(&held);
	work_begin(1000000);
	CHECK(worker_run(take_lock, &passes, UINT64_C(1) << 60) == -1 && worker_is_busy());
	pthread_mutex_unlock(&held);
	while (worker_is_busy())
		usleep(1000);
	/* No time is left, so nothing is started that would not be waited for. */
	int before = passes;
	CHECK(worker_run(take_lock, &passes, LONG_NS) == -1 && !worker_is_busy());
	CHECK(passes == before);
	work_begin(LONG_NS);
	CHECK(worker_run(take_lock, &passes, LONG_NS) == 0 && passes == before + 1);
	work_end();
}
CASE(within_the_work)

static void none_in_a_child(void)
{
	int busy;
	real_resolve();
	CHECK(worker_start() == 0);
	worker_after_fork_in_child();
	CHECK(worker_run(note_busy, &busy, LONG_NS) == -1);
}
CASE(none_in_a_child)

static void its_stack_is_known(void)
{
	struct ownthread_stack stacks[OWNTHREAD_MAX];
	uint64_t inside = 0;
	real_resolve();
	CHECK(ownthread_stacks(stacks) == 0);
	CHECK(worker_start() == 0);
	CHECK(ownthread_stacks(stacks) == 1);
	CHECK(worker_run(note_thread, &inside, LONG_NS) == 0);
	CHECK(inside >= stacks[0].start && inside < stacks[0].end); /* pthread_t: the address of
								     * its descriptor */
}
CASE(its_stack_is_known)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_elsewhere),      cmocka_unit_test(test_counts_as_own),
		cmocka_unit_test(test_a_lock_that_is_held), cmocka_unit_test(test_none_in_a_child),
		cmocka_unit_test(test_its_stack_is_known),  cmocka_unit_test(test_within_the_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
