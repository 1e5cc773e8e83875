/*
 * Walks from random registers over random words must end and do nothing else.  A short
 * version of tests/fuzz/fuzz_unwind.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>

#include "../fuzz/unwind_input.h"
#include "unwind/codetables.h"
#include "unwind/pcinfo.h"
#include "unwind/rows.h"

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
		size_t count = next_random(&seed) % sizeof(input);
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

/* ---- more places than the cache holds ---------------------------------------- */

#define ROOM (MIB / sizeof(struct row_slot))

static void look_at(uint64_t from, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct pcinfo info = pcinfo_at(from + i);
		assert_int_equal(info.pc, from + i);
	}
}

static void test_code_that_is_gone_keeps_nothing_out(void **state)
{
	struct dl_find_object libc;
	uint64_t start, hot, unseen, before;

	(void)state;
	assert_int_equal(_dl_find_object(dlsym(RTLD_DEFAULT, "qsort"), &libc), 0);
	start = (uint64_t)libc.dlfo_map_start;
	hot = (uint64_t)dlsym(RTLD_DEFAULT, "qsort");
	unseen = (uint64_t)libc.dlfo_map_end - 1;
	assert_true(start + 3 * ROOM < (uint64_t)libc.dlfo_map_end);
	/* Twice, because a full neighbourhood evicts any of its entries. */
	look_at(start, 3 * ROOM);
	look_at(hot, 1000);
	look_at(hot, 1000);
	before = pcinfo_lookups();
	look_at(hot, 1000);
	assert_in_range(pcinfo_lookups() - before, 0, 300);
	/* All entries become stale and can be overwritten. */
	codetables_unload_begins();
	assert_int_equal(pcinfo_at(unseen).kind, PCINFO_UNKNOWN);
	codetables_unload_ends();
	look_at(hot, 1000);
	before = pcinfo_lookups();
	look_at(hot, 1000);
	assert_in_range(pcinfo_lookups() - before, 0, 100);
	assert_int_not_equal(pcinfo_at(unseen).kind, PCINFO_UNKNOWN);
}

/* ---- another thread loads and unloads the code being looked up ---------------- */

#define CYCLES 300

static int stop;
static uint64_t base, looked;

static void *load_and_unload(void *name)
{
	for (int i = 0; i < CYCLES; i++) {
		struct link_map *map = dlopen(name, RTLD_NOW);
		if (!map)
			break;
		STORE(&base, map->l_addr);
		/* Wait until it has been looked up for a while. */
		for (uint64_t before = LOAD(&looked); LOAD(&looked) - before < 5000;)
			sched_yield();
		codetables_unload_begins();
		dlclose(map);
		codetables_unload_ends();
	}
	STORE(&stop, 1);
	return NULL;
}

/* As with a stale return address that points into unloaded code. */
static void test_what_is_looked_at_goes(void **state)
{
	static const char name[] = "libgomp.so.1";
	pthread_t thread;
	uint64_t seen = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, load_and_unload, (void *)name), 0);
	for (uint64_t i = 0; !LOAD(&stop); i++) {
		seen += pcinfo_at(LOAD(&base) + i * 64 % (256 * KIB)).kind == PCINFO_C;
		STORE(&looked, i);
	}
	pthread_join(thread, NULL);
	assert_true(seen > 0);
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
		cmocka_unit_test(test_code_that_is_gone_keeps_nothing_out),
		cmocka_unit_test(test_what_is_looked_at_goes),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
