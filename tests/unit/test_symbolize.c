/* Locations of C code in this process. tests/gosym tests Go's, in real Go programs. */
#include "fixture.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include "base/sort.h"
#include "profile/symbolize.h"

/* What cgo compiles around a C function, by name. */
int _cgo_0123456789ab_Cfunc_thing(int x);
int _cgo_0123456789ab_C2func_thing(int x);
int _cgo_sys_thing(int x);

__attribute__((noinline)) int _cgo_0123456789ab_Cfunc_thing(int x)
{
	return x + 1;
}
__attribute__((noinline)) int _cgo_0123456789ab_C2func_thing(int x)
{
	return x + 2;
}
__attribute__((noinline)) int _cgo_sys_thing(int x)
{
	return x + 3;
}

struct fixed {
	struct scratch s;
	struct modules modules;
	struct symbols symbols;
};

static void resolve(struct fixed *f, const uint64_t *pcs, size_t count, bool with_names)
{
	f->s = SCRATCH_INIT(16 * MIB);
	assert_int_equal(modules_read(&f->s, &f->modules), 0);
	assert_int_equal(symbolize(&f->s, &f->modules, pcs, count, with_names, &f->symbols), 0);
}

static uint64_t return_address_in(const void *function)
{
	return (uint64_t)function + 1;
}

static const struct location *find(const struct fixed *f, const void *function)
{
	const struct location *l = symbols_find(&f->symbols, return_address_in(function));

	assert_non_null(l);
	return l;
}

static void check_function(const struct fixed *f, const void *function, const char *name,
			   bool plumbing)
{
	const struct location *l = find(f, function);

	assert_int_equal(l->line_count, 1);
	assert_string_equal(l->lines[0].function, name);
	assert_string_equal(l->lines[0].file, "");
	assert_true(l->lines[0].line == 0 && l->lines[0].start_line == 0);
	assert_true(l->module && !l->is_go);
	assert_int_equal(l->is_plumbing, plumbing);
}

static void functions_of_several_modules(void **state)
{
	const void *get_pid = dlsym(RTLD_DEFAULT, "getpid");
	const uint64_t pcs[] = {
		return_address_in((void *)resolve),
		return_address_in(get_pid),
		return_address_in((void *)_cgo_0123456789ab_C2func_thing),
		return_address_in((void *)_cgo_0123456789ab_Cfunc_thing),
		return_address_in((void *)_cgo_sys_thing),
		return_address_in(get_pid),
	};
	struct fixed f;

	(void)state;
	resolve(&f, pcs, COUNT_OF(pcs), true);
	assert_int_equal(f.symbols.count, 5);
	for (size_t i = 1; i < f.symbols.count; i++)
		assert_true(f.symbols.list[i].pc > f.symbols.list[i - 1].pc);
	check_function(&f, (void *)resolve, "resolve", false);
	check_function(&f, get_pid, "getpid", false);
	check_function(&f, (void *)_cgo_0123456789ab_Cfunc_thing, "_cgo_0123456789ab_Cfunc_thing",
		       true);
	check_function(&f, (void *)_cgo_0123456789ab_C2func_thing, "_cgo_0123456789ab_C2func_thing",
		       true);
	check_function(&f, (void *)_cgo_sys_thing, "_cgo_sys_thing", false);
	assert_null(symbols_find(&f.symbols, pcs[0] + 1));
	scratch_release(&f.s);
}

/* A call that does not return may be the last instruction of its function. */
static void return_address_after_the_function(void **state)
{
	const void *thing = (void *)_cgo_sys_thing;
	struct scratch s = SCRATCH_INIT(16 * MIB);
	struct modules modules;
	struct symbols symbols;
	uint64_t end = (uint64_t)thing, pc;

	(void)state;
	assert_int_equal(modules_read(&s, &modules), 0);
	do { /* until the first address that is no longer in it */
		pc = ++end + 1;
		assert_int_equal(symbolize(&s, &modules, &pc, 1, true, &symbols), 0);
	} while (symbols.list[0].line_count &&
		 strcmp(symbols.list[0].lines[0].function, "_cgo_sys_thing") == 0);
	assert_true(end > (uint64_t)thing + 2 && end < (uint64_t)thing + 256);
	assert_int_equal(symbolize(&s, &modules, &end, 1, true, &symbols), 0);
	assert_string_equal(symbols.list[0].lines[0].function, "_cgo_sys_thing");
	scratch_release(&s);
}

static void code_in_no_file(void **state)
{
	char *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t pcs[] = {(uint64_t)code + 8, 0, 1, UINT64_MAX};
	struct fixed f;

	(void)state;
	assert_true(code != MAP_FAILED);
	resolve(&f, pcs, COUNT_OF(pcs), true);
	assert_int_equal(f.symbols.count, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct location *l = symbols_find(&f.symbols, pcs[i]);

		assert_true(l && !l->module && !l->is_go && !l->is_plumbing && !l->line_count);
	}
	munmap(code, 4096);
	scratch_release(&f.s);
}

static void without_names(void **state)
{
	const uint64_t pc = return_address_in((void *)resolve);
	struct fixed f;

	(void)state;
	resolve(&f, &pc, 1, false);
	assert_true(find(&f, (void *)resolve)->module->is_main);
	assert_int_equal(find(&f, (void *)resolve)->line_count, 0);
	scratch_release(&f.s);
}

static void nothing_to_do(void **state)
{
	struct fixed f;

	(void)state;
	resolve(&f, NULL, 0, true);
	assert_int_equal(f.symbols.count, 0);
	assert_null(symbols_find(&f.symbols, 1));
	scratch_release(&f.s);
}

/* With any amount of scratch: -1, and what is in the list is complete. */
static void scratch_too_small(void **state)
{
	enum { COUNT = 20000 };
	static uint64_t pcs[COUNT];
	struct scratch s = SCRATCH_INIT(16 * MIB), small;
	struct modules modules;
	struct symbols symbols;
	size_t refused = 0;

	(void)state;
	assert_int_equal(modules_read(&s, &modules), 0);
	for (size_t i = 0; i < COUNT; i++)
		pcs[i] = modules.list[0].start + 1 +
			 i % (modules.list[0].end - modules.list[0].start);
	for (size_t max = 256 * KIB; max <= 8 * MIB; max += 256 * KIB) {
		small = SCRATCH_INIT(max);
		refused += symbolize(&small, &modules, pcs, COUNT, true, &symbols) != 0;
		assert_true(small.mapped_bytes <= max);
		for (size_t i = 0; i < symbols.count; i++)
			for (uint32_t n = 0; n < symbols.list[i].line_count; n++)
				assert_non_null(symbols.list[i].lines[n].function);
		scratch_release(&small);
	}
	assert_in_range(refused, 1, 31);
	scratch_release(&s);
}

static void sorts(void **state)
{
	struct sort_item items[300];
	uint32_t random = 1;

	(void)state;
	for (size_t count = 0; count <= COUNT_OF(items); count++) {
		uint64_t sum = 0, after = 0;

		for (size_t i = 0; i < count; i++) {
			random = random * 1664525 + 1013904223;
			items[i] = (struct sort_item){random >> (count % 31), i};
			sum += items[i].key * (i + 1);
		}
		sort_items(items, count);
		for (size_t i = 0; i < count; i++) {
			assert_true(i == 0 || items[i - 1].key <= items[i].key);
			after += items[i].key * (items[i].value + 1);
		}
		assert_int_equal(sum, after); /* each key still has its value */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_several_modules),
		cmocka_unit_test(return_address_after_the_function),
		cmocka_unit_test(code_in_no_file),
		cmocka_unit_test(without_names),
		cmocka_unit_test(nothing_to_do),
		cmocka_unit_test(scratch_too_small),
		cmocka_unit_test(sorts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
