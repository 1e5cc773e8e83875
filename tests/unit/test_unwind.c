/*
 * Walks from any registers over any words: they end, and nothing else does.  A short
 * part of what tests/fuzz/fuzz_unwind.c searches.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>

#include "../fuzz/unwind_input.h"

#define WALKS 20000

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void test_walks_end(void **state)
{
	static uint64_t input[256];
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < WALKS; i++) {
		size_t count = next_random(&seed) % sizeof input;
		for (size_t j = 0; j < COUNT_OF(input); j++)
			input[j] = next_random(&seed);
		unwind_walk_here((const uint8_t *)input, count);
		unwind_walk_elsewhere((const uint8_t *)input, count);
	}
}

static void *on_thread(void *state)
{
	test_walks_end(state);
	return NULL;
}

static void test_walks_end_on_a_thread(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, on_thread, state), 0);
	pthread_join(thread, NULL);
}

static int setup(void **state)
{
	static const char *const libraries[] = {"libstdc++.so.6", "libm.so.6", "libcrypto.so.3"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(libraries); i++)
		dlopen(libraries[i], RTLD_NOW);
	return unwind_world_make() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walks_end),
		cmocka_unit_test(test_walks_end_on_a_thread),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
