/* Names that a later profile takes from an earlier one, and when it must not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <string.h>

#include "profile/symbol_cache.h"
#include "record/unloads.h"
#include "testclock.h"

#define PCS 64

static uint64_t pcs[PCS]; /* in this program */

struct named {
	struct scratch s;
	struct modules modules;
	struct symbols symbols;
	uint64_t lookups;
};

static void name(struct named *n, size_t count)
{
	uint64_t before = symbolize_lookups();
	*n = (struct named){.s = SCRATCH_INIT(4 * MIB)};
	assert_int_equal(modules_read(&n->s, &n->modules), 0);
	assert_int_equal(symbolize(&n->s, &n->modules, pcs, count, true, &n->symbols), 0);
	n->lookups = symbolize_lookups() - before;
	for (size_t i = 0; i < count; i++) {
		const struct location *l = symbols_find(&n->symbols, pcs[i]);
		assert_true(l && l->module && l->module->is_main);
		assert_int_equal(l->line_count, 1);
		assert_string_equal(l->lines[0].function, i % 2 ? "start" : "name");
	}
}

static void end(struct named *n)
{
	symbols_release(&n->symbols);
	scratch_release(&n->s);
}

static uint64_t lookups(size_t count)
{
	struct named n;
	name(&n, count);
	end(&n);
	return n.lookups;
}

static int start(void **state)
{
	(void)state;
	for (size_t i = 0; i < PCS; i++)
		pcs[i] = (i % 2 ? (uint64_t)start : (uint64_t)name) + 1 + i / 2;
	if (!region_layout.region_bytes && region_init(32 * MIB))
		return -1;
	testclock_advance(UINT64_C(600000000000));
	return symbol_cache_tick() == UINT64_MAX ? 0 : -1;
}

static void looks_up_once(void **state)
{
	(void)state;
	assert_int_equal(lookups(20), 20);
	assert_int_equal(lookups(20), 0);
	assert_int_equal(lookups(30), 10); /* the new ones */
	assert_int_equal(lookups(10), 0);
	assert_int_equal(lookups(PCS), PCS - 30);
	assert_int_equal(lookups(PCS), 0);
}

static void forgets_when_something_is_unloaded(void **state)
{
	(void)state;
	lookups(PCS);
	unloads_add(0x1000, 0x2000);
	assert_int_equal(lookups(PCS), PCS);
	assert_int_equal(lookups(PCS), 0);
}

static void forgets_when_something_is_loaded(void **state)
{
	(void)state;
	lookups(PCS);
	void *library = dlopen("libcrypt.so.1", RTLD_NOW);
	if (!library)
		library = dlopen("libz.so.1", RTLD_NOW);
	assert_non_null(library);
	assert_int_equal(lookups(PCS), PCS);
	dlclose(library); /* not seen by a hook here */
	assert_int_equal(lookups(PCS), PCS);
	assert_int_equal(lookups(PCS), 0);
}

/* It waits for nobody: a second user looks names up itself, and disturbs nothing. */
static void has_one_user(void **state)
{
	struct named first, second;
	(void)state;
	lookups(PCS);
	name(&first, PCS);
	assert_int_equal(first.lookups, 0);
	name(&second, PCS);
	assert_int_equal(second.lookups, PCS);
	end(&second);
	assert_string_equal(symbols_find(&first.symbols, pcs[0])->lines[0].function, "name");
	end(&first);
	end(&first); /* safe twice */
	assert_int_equal(lookups(PCS), 0);
}

static void gives_its_memory_to_others(void **state)
{
	struct scratch all = SCRATCH_INIT(SIZE_MAX);
	(void)state;
	lookups(PCS);
	assert_int_equal(lookups(PCS), 0);
	while (scratch_alloc(&all, 64 * KIB))
		;
	assert_true(all.mapped_bytes + 256 * KIB > region_scratch_max_bytes());
	scratch_release(&all);
	assert_int_equal(lookups(PCS), PCS);
}

static void keeps_within_its_share(void **state)
{
	enum { MANY = 40000 };
	static uint64_t many[MANY];
	struct scratch s = SCRATCH_INIT(7 * MIB), all = SCRATCH_INIT(SIZE_MAX);
	struct modules modules;
	struct symbols symbols;
	(void)state;
	assert_int_equal(modules_read(&s, &modules), 0);
	for (size_t i = 0; i < MANY; i++)
		many[i] = modules.list[0].start + 1 + i;
	lookups(PCS);
	symbolize(&s, &modules, many, MANY, true, &symbols);
	symbols_release(&symbols);
	scratch_release(&s);
	struct named user; /* so that it is not given up */
	name(&user, 1);
	while (scratch_alloc(&all, 64 * KIB))
		;
	assert_true(all.mapped_bytes + user.s.mapped_bytes + 256 * KIB >
		    region_scratch_max_bytes() / 8 * 7);
	scratch_release(&all);
	end(&user);
}

static void is_given_up_when_unused(void **state)
{
	(void)state;
	assert_true(symbol_cache_tick() == UINT64_MAX);
	lookups(PCS);
	testclock_advance(UINT64_C(599000000000));
	assert_in_range(symbol_cache_tick(), 1, UINT64_C(1000000000));
	assert_int_equal(lookups(PCS), 0);
	testclock_advance(UINT64_C(600000000000));
	assert_true(symbol_cache_tick() == UINT64_MAX);
	assert_int_equal(lookups(PCS), PCS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(looks_up_once, start),
		cmocka_unit_test_setup(forgets_when_something_is_unloaded, start),
		cmocka_unit_test_setup(forgets_when_something_is_loaded, start),
		cmocka_unit_test_setup(has_one_user, start),
		cmocka_unit_test_setup(gives_its_memory_to_others, start),
		cmocka_unit_test_setup(keeps_within_its_share, start),
		cmocka_unit_test_setup(is_given_up_when_unused, start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
