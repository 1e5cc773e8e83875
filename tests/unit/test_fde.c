/*
 * Damaged tables: a look-up always returns.  The library's tables are damaged where they
 * are mapped.  Each address is looked up only once, because results are cached.
 */
#include "fixture.h"
#include "machine.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>

#include "base/libc.h"
#include "region/region.h"
#include "unwind/cfi.h"
#include "unwind/cfi_entry.h"
#include "unwind/fde.h"
#include "unwind/codetables.h"
#include "unwind/pcinfo.h"

static const char source[] = "int a(int n) { return n + 1; }\n"
			     "int b(int (*f)(int)) { return f(1) + f(2); }\n"
			     "int c(int (*f)(int)) { return f(3) + f(4); }\n"
			     "__asm__(\".globl bare\\n.type bare,@function\\n\"\n"
			     "        \"bare: nop\\n nop\\n ret\\n.size bare,.-bare\");\n";

struct library {
	struct fde_module module;
	uint32_t *table;  /* .eh_frame_hdr, writable */
	uint8_t *entries; /* .eh_frame */
	size_t entries_bytes;
	uint64_t b, bare;
};

/* With that many FDEs; not each linker ends it by a zero. */
static size_t bytes_of_eh_frame(const uint8_t *at, uint32_t fdes)
{
	const uint8_t *start = at;

	while (fdes > 0) {
		uint32_t entry[2]; /* its length; 0 in a CIE */
		memcpy(entry, at, sizeof(entry));
		at += 4 + entry[0];
		fdes -= entry[1] != 0;
	}
	return (size_t)(at - start);
}

/* A separate copy for each test. */
static struct library load(void)
{
	static unsigned count;
	struct library l = {0};
	struct dl_find_object found;
	struct code_module m;
	char name[16];
	void *handle;

	snprintf(name, sizeof(name), "t%u.so", count++);
	handle = dlopen(fixture_library(name, "c", source, "-O1"), RTLD_NOW);
	assert_non_null(handle);
	l.b = (uint64_t)dlsym(handle, "b") + MACHINE_PROLOGUE_BYTES + 1;
	l.bare = (uint64_t)dlsym(handle, "bare") + 1;
	assert_int_equal(_dl_find_object((void *)l.b, &found), 0);
	assert_true(codetables_module(l.b, &m));
	l.module.table = m.table;
	assert_true(codetables_segment(&m, m.table, &l.module.start, &l.module.end));
	l.table = found.dlfo_eh_frame;
	l.entries = (uint8_t *)l.table + 4 + (int32_t)l.table[1];
	l.entries_bytes = bytes_of_eh_frame(l.entries, l.table[2]);
	assert_int_equal(mprotect((void *)(l.module.table & ~(PAGE_BYTES - 1)), 2 * PAGE_BYTES,
				  PROT_READ | PROT_WRITE),
			 0);
	return l;
}

static void test_finds_what_is_listed(void **state)
{
	struct library l = load();
	uint64_t fde = fde_find(&l.module, l.b);

	(void)state;
	assert_int_not_equal(fde, 0);
	assert_int_equal(cfi_covers(&l.module, fde, l.b), 1);
	assert_int_equal(pcinfo_at(l.b).kind, PCINFO_C);
}

/* Code without an FDE; the preceding FDE ends before it. */
static void test_code_without_cfi_is_not_looked_for_elsewhere(void **state)
{
	struct library l = load();

	(void)state;
	assert_int_equal(pcinfo_at(l.bare).kind, PCINFO_C_NO_CFI);
}

static void test_a_table_longer_than_its_module_is_none(void **state)
{
	struct library l = load();

	(void)state;
	l.table[2] = 0x7fffffff;
	assert_int_equal(fde_find(&l.module, l.b), 0);
	assert_int_equal(pcinfo_at(l.b).kind, PCINFO_C_NO_CFI);
}

static void test_an_entry_that_points_outside_is_none(void **state)
{
	struct library l = load();

	(void)state;
	for (uint32_t i = 0; i < l.table[2]; i++)
		l.table[3 + 2 * i + 1] = 0x70000000;
	assert_int_equal(pcinfo_at(l.b).kind, PCINFO_C_NO_CFI);
}

static void test_an_fde_of_no_sane_length_does_not_decode(void **state)
{
	struct library l = load();
	uint32_t *length = (uint32_t *)fde_find(&l.module, l.b);

	(void)state;
	*length = 0x7ffffff0;
	assert_int_equal(pcinfo_at(l.b).kind, PCINFO_C_BAD_CFI);
}

static void test_a_cie_that_is_not_mapped_does_not_decode(void **state)
{
	struct library l = load();
	uint32_t *fde = (uint32_t *)fde_find(&l.module, l.b);

	(void)state;
	fde[1] = 0x70000000;
	assert_int_equal(pcinfo_at(l.b).kind, PCINFO_C_BAD_CFI);
}

/* Overwrites each 4 bytes of both tables with every kind of nonsense: any answer will do. */
static void test_nonsense_everywhere(void **state)
{
	static const uint32_t values[] = {0, 0x7fffffff, 0x80000000, 0xffffffff, 0x00010000};
	struct library l = load();
	uint32_t *words = l.table;
	size_t count = (size_t)(l.entries + l.entries_bytes - (uint8_t *)l.table) / 4;
	struct cfi_row row;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		uint32_t before = words[i];
		for (size_t v = 0; v < COUNT_OF(values); v++) {
			uint64_t fde;
			words[i] = values[v];
			fde = fde_find(&l.module, l.b);
			if (fde && cfi_covers(&l.module, fde, l.b) > 0)
				cfi_compile(&l.module, fde, l.b, &row);
		}
		words[i] = before;
	}
	assert_int_equal(pcinfo_at(l.b).kind, PCINFO_C);
}

static int no_loaders_lock(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	(void)call, (void)arg;
	fail_msg("dl_iterate_phdr, which waits for another thread's dlopen");
	return 0;
}

/* This file does not compile with a glibc that lacks _dl_find_object. */
static void test_modules_are_found_without_the_loaders_lock(void **state)
{
	struct code_module m;
	int (*before)(int (*)(struct dl_phdr_info *, size_t, void *), void *) =
		libc.dl_iterate_phdr;

	(void)state;
	libc.dl_iterate_phdr = no_loaders_lock;
	assert_true(codetables_module((uint64_t)qsort, &m));
	libc.dl_iterate_phdr = before;
}

static int setup(void **state)
{
	if (region_init(32 * MIB))
		return -1;
	loaded_init();
	return fixture_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_what_is_listed),
		cmocka_unit_test(test_code_without_cfi_is_not_looked_for_elsewhere),
		cmocka_unit_test(test_a_table_longer_than_its_module_is_none),
		cmocka_unit_test(test_an_entry_that_points_outside_is_none),
		cmocka_unit_test(test_an_fde_of_no_sane_length_does_not_decode),
		cmocka_unit_test(test_a_cie_that_is_not_mapped_does_not_decode),
		cmocka_unit_test(test_nonsense_everywhere),
		cmocka_unit_test(test_modules_are_found_without_the_loaders_lock),
	};
	return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
