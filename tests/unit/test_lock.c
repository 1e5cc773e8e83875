/* Mutual exclusion, and waking of sleepers. */
#include "child.h"

#include <pthread.h>
#include <string.h>

#include "base/lock.h"

#define THREADS 4
#define ROUNDS  50000
#define CROWD   64

static struct lock lock;
static uint64_t guarded; /* not atomic: only the lock protects it */

static void *count(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		lock_take(&lock);
		guarded++;
		lock_release(&lock);
	}
	return arg;
}

static void excludes(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(guarded, THREADS * ROUNDS);
	assert_int_equal(lock.state, 0);
}

static void *take_once(void *arg)
{
	lock_take(&lock);
	STORE((uint64_t *)arg, 1);
	lock_release(&lock);
	return NULL;
}

/* Waits for state 2: only a thread that is done spinning writes it, just before it sleeps. */
static void wakes_who_sleeps(void **state)
{
	pthread_t threads[2];
	uint64_t got[2] = {0};

	(void)state;
	lock_take(&lock);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_once, &got[i]), 0);
	while (LOAD(&lock.state) != 2)
		usleep(100);
	assert_int_equal(LOAD(&got[0]) + LOAD(&got[1]), 0);
	lock_release(&lock);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(got[0] + got[1], 2);
	assert_int_equal(lock.state, 0);
}

static double cpu_seconds(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool sleeps(pid_t tid)
{
	char path[64], text[256] = "", *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	state = strrchr(text, ')');
	assert_non_null(state);
	return state[2] == 'S';
}

struct waiter {
	pthread_t thread;
	pid_t tid;
};

static void *wait_once(void *arg)
{
	STORE(&((struct waiter *)arg)->tid, gettid());
	lock_take(&lock);
	lock_release(&lock);
	return NULL;
}

/* CPU time until `count` threads all sleep behind a lock whose holder does not run. */
static double cost_of_waiters(int count)
{
	struct waiter waiters[CROWD] = {0};
	double begin, cost;

	lock_take(&lock);
	begin = cpu_seconds();
	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_once, &waiters[i]),
				 0);
	for (int i = 0; i < count; i++)
		while (!LOAD(&waiters[i].tid) || !sleeps(LOAD(&waiters[i].tid)))
			usleep(1000);
	cost = cpu_seconds() - begin;
	lock_release(&lock);
	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
	return cost;
}

/* A single waiter may spin.  A crowd that spins would keep the holder from the processors. */
static void a_crowd_sleeps_soon(void **state)
{
	(void)state;
	assert_true(cost_of_waiters(CROWD) < 8 * cost_of_waiters(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(excludes),
		cmocka_unit_test(wakes_who_sleeps),
		cmocka_unit_test(a_crowd_sleeps_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
