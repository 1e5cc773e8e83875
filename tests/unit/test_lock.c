/* Mutual exclusion, and that a sleeper is woken. */
#include "child.h"

#include <pthread.h>

#include "base/lock.h"

#define THREADS 4
#define ROUNDS  50000

static struct lock lock;
static uint64_t guarded; /* not atomic: the lock is what makes it right */

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

/* Waits for state 2, which only a thread past its spins writes: then it sleeps, or is about to. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(excludes),
		cmocka_unit_test(wakes_who_sleeps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
