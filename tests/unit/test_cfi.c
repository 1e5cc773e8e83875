/*
 * Rows compared with libunwind's reading of the same tables: for every function of libc,
 * at several addresses, the row must lead from made-up registers to those that libunwind
 * computes.  Also damage: every byte of an FDE flipped, every length cut.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <libunwind.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "machine.h"
#include "unwind/cfi.h"
#include "unwind/cfi_rules.h"
#include "unwind/cfi_entry.h"

/* Every word is its own address, so that a restored register tells its slot. */
#define STACK_WORDS 65536
static uint64_t stack_words[STACK_WORDS];

struct table {
	uint64_t header; /* .eh_frame_hdr */
	struct fde_module module;
};

struct entry {
	int32_t pc, fde; /* relative to the header's start (DW_EH_PE_datarel | sdata4) */
};

static const struct entry *entries_of(const void *code, struct table *t, uint32_t *count)
{
	struct dl_find_object libc;
	const uint8_t *h;

	assert_int_equal(_dl_find_object((void *)code, &libc), 0);
	t->header = (uint64_t)libc.dlfo_eh_frame;
	t->module = (struct fde_module){t->header, (uint64_t)libc.dlfo_map_start,
					(uint64_t)libc.dlfo_map_end};
	h = (const uint8_t *)t->header;
	assert_int_equal(h[0], 1);
	assert_int_equal(h[3], 0x3b);
	memcpy(count, h + 8, sizeof(*count));
	return (const struct entry *)(h + 12);
}

static const struct entry *libc_entries(struct table *t, uint32_t *count)
{
	return entries_of(dlsym(RTLD_NEXT, "qsort"), t, count);
}

static void set_context(unw_context_t *context, uint64_t pc, uint64_t sp)
{
	memset(context, 0, sizeof(*context));
	for (unsigned r = 0; r < CFI_REGISTERS; r++) /* all that may be a frame's base */
		context->data[MACHINE_CONTEXT(machine_number(r))] = r == CFI_SP ? sp : sp + 8192;
	context->data[MACHINE_CONTEXT_PC] = pc;
}

static uint64_t value_of(const struct cfi_row *row, int r, uint64_t cfa, uint64_t old)
{
	if (r == CFI_SP)
		return cfa;
	return row->saved[r] == CFI_SAME ? old
					 : *(uint64_t *)(cfa + (uint64_t)(8l * row->saved[r]));
}

/* 1: compared; 0: not a row, or libunwind cannot step it. */
static int compare_at(const struct fde_module *module, uint64_t fde, uint64_t pc)
{
	uint64_t sp = (uint64_t)&stack_words[STACK_WORDS / 2], cfa;
	struct cfi_row row;
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t word;

	if (cfi_compile(module, fde, pc, &row) != CFI_ROW)
		return 0;
	cfa = (row.cfa_register == CFI_SP ? sp : sp + 8192) + (uint64_t)(int64_t)row.cfa_offset;
	/* libunwind also looks up the caller, so make it one that it can find. */
	for (size_t i = 0; i < STACK_WORDS; i++)
		if (i % 64 == 0)
			stack_words[i] = (uint64_t)&stack_words[i];
	/* libunwind takes pc for a return address, and does not apply rules that take effect
	 * there. */
	set_context(&context, pc + 1, sp);
	unw_init_local(&cursor, &context);
	unw_step(&cursor);
	unw_get_reg(&cursor, UNW_REG_IP, &word);
	assert_int_equal(word, *(uint64_t *)(cfa + (uint64_t)(8l * row.return_address)));
	for (int r = 0; r < CFI_REGISTERS; r++) {
		uint64_t expected = value_of(&row, r, cfa, sp + 8192);
		unw_get_reg(&cursor, (unw_regnum_t)machine_number((unsigned)r), &word);
		assert_int_equal(word, expected);
	}
	return 1;
}

/* Whether the return address is, as where arm64's functions have no frame: nothing is called there,
 * so there are no rows for it. */
static bool is_in_a_register(const struct fde_module *module, uint64_t fde, uint64_t pc)
{
	struct cfi_rules rules;

	return cfi_rules_at(module, fde, pc, &rules) == 0 && rules.return_address.kind == RULE_SAME;
}

static void test_rows_agree_with_libunwind(void **state)
{
	struct table table = {0};
	uint32_t count, rows = 0, tried = 0;
	const struct entry *entries = libc_entries(&table, &count);

	(void)state;
	for (size_t i = 0; i < STACK_WORDS; i++)
		stack_words[i] = (uint64_t)&stack_words[i];
	for (uint32_t i = 0; i + 1 < count; i += 3) {
		uint64_t start = table.header + (uint64_t)(int64_t)entries[i].pc;
		uint64_t fde = table.header + (uint64_t)(int64_t)entries[i].fde;
		uint32_t fde_length, range;
		memcpy(&fde_length, (void *)fde, 4);
		memcpy(&range, (void *)(fde + 12), 4);
		for (uint64_t at = 0; at + 1 < range; at += range / 4 + 1) {
			if (is_in_a_register(&table.module, fde, start + at))
				continue;
			rows += (uint32_t)compare_at(&table.module, fde, start + at);
			tried++;
		}
	}
	assert_true(tried > 1000);
	/* Everything but hand-written code and PLT stubs has a row. */
	assert_true(rows * 100 >= tried * 98);
}

/* ---- what a row cannot say -------------------------------------------------- */

static struct saferead stack_memory(void)
{
	return (struct saferead){.stack = {(uint64_t)stack_words, sizeof(stack_words)},
				 .top_is_known = true};
}

/* 1: compared; 0: a row, or cannot be followed. */
static int compare_step_at(const struct fde_module *module, uint64_t fde, uint64_t pc)
{
	uint64_t sp = (uint64_t)&stack_words[STACK_WORDS / 2];
	struct regs regs = {.ip = pc + 1, .sp = sp};
	struct saferead memory = stack_memory();
	struct cfi_row row;
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t word;
	enum cfi_result kind = cfi_compile(module, fde, pc, &row);
	bool is_signal;

	for (unsigned r = 0; r < CFI_SAVED; r++)
		*cfi_register_in(&regs, r) = sp + 8192;
	if (kind != CFI_COMPLEX && kind != CFI_SIGNAL)
		return 0;
	set_context(&context, pc + 1, sp);
	MACHINE_SET_LINK(regs, context, sp + 8192);
	/*
	 * cfi_step refuses to leave the readable memory (the thread that clone makes has its
	 * root elsewhere) and to use registers that calls do not preserve (longjmp).
	 * libunwind reads the memory and makes the registers up.
	 */
	if (cfi_step(module, fde, pc, &memory, &regs, &is_signal) != CFI_ROW)
		return 0;
	unw_init_local(&cursor, &context);
	unw_step(&cursor);
	assert_int_equal(is_signal, kind == CFI_SIGNAL);
	unw_get_reg(&cursor, UNW_REG_IP, &word);
	assert_int_equal(regs.ip, word);
	for (unsigned r = 0; r < CFI_REGISTERS; r++) {
		unw_get_reg(&cursor, (unw_regnum_t)machine_number((unsigned)r), &word);
		assert_int_equal(*cfi_register_in(&regs, r), word);
	}
	return 1;
}

static uint32_t compare_all_steps(const void *code)
{
	struct table table;
	uint32_t count, compared = 0;
	const struct entry *entries = entries_of(code, &table, &count);

	for (uint32_t i = 0; i + 1 < count; i++) {
		uint64_t start = table.header + (uint64_t)(int64_t)entries[i].pc;
		uint64_t fde = table.header + (uint64_t)(int64_t)entries[i].fde;
		uint32_t range;
		memcpy(&range, (void *)(fde + 12), 4);
		/* Between prologue and epilogue. */
		if (cfi_covers(&table.module, fde, start + range / 2) == 1)
			compared +=
				(uint32_t)compare_step_at(&table.module, fde, start + range / 2);
	}
	return compared;
}

/* Functions of this program that realign their stack, in addition to the libraries'. */
static uint64_t __attribute__((noinline)) realigned(uint64_t n)
{
	_Alignas(128) volatile uint64_t words[64];

	words[n % 64] = n;
	return (uint64_t)getpid() + words[n % 64];
}

static uint64_t __attribute__((noinline)) realigned_with_args(uint64_t n, ...)
{
	_Alignas(64) volatile uint64_t words[64];
	volatile char *more = __builtin_alloca(n);

	more[0] = 1;
	words[n % 64] = n;
	return (uint64_t)getpid() + words[n % 64] + (uint64_t)more[0];
}

static void test_steps_agree_with_libunwind(void **state)
{
	static const char *const libraries[] = {"libm.so.6", "libstdc++.so.6", "libcrypto.so.3",
						"libgomp.so.1"};
	uint32_t compared = compare_all_steps((void *)realigned);

	(void)state;
	assert_true(realigned(3) != realigned_with_args(7));
	for (size_t i = 0; i < STACK_WORDS; i++)
		stack_words[i] = (uint64_t)&stack_words[i];
	assert_true(compared >= 2);
	compared += compare_all_steps(dlsym(RTLD_NEXT, "qsort"));
	for (size_t i = 0; i < COUNT_OF(libraries); i++) {
		struct link_map *map = dlopen(libraries[i], RTLD_NOW);
		if (map)
			compared += compare_all_steps(map->l_ld);
	}
	/* Each library's linkage tables, libc's return from signal handlers, the realigned. */
	assert_true(compared >= 6);
}

/* One FDE of libc with its CIE, copied to be damaged. */
struct copy {
	uint8_t *bytes;
	size_t size, fde_at;
	struct fde_module module;
};

static struct copy copy_entry(uint64_t fde)
{
	uint32_t length, distance;
	uint64_t cie;
	struct copy c;

	memcpy(&length, (void *)fde, 4);
	memcpy(&distance, (void *)(fde + 4), 4);
	cie = fde + 4 - distance;
	c.size = fde + 4 + length - cie;
	c.fde_at = fde - cie;
	c.bytes = malloc(c.size);
	memcpy(c.bytes, (void *)cie, c.size);
	c.module = (struct fde_module){0, (uint64_t)c.bytes, (uint64_t)c.bytes + c.size};
	return c;
}

static void test_damaged_tables_are_survived(void **state)
{
	struct table table = {0};
	uint32_t count;
	const struct entry *entries = libc_entries(&table, &count);
	uint64_t nearest = UINT64_MAX, fde = 0, start = 0;

	(void)state;
	/* The FDE nearest to its CIE: the smallest copy. */
	for (uint32_t i = 0; i < count; i++) {
		uint64_t f = table.header + (uint64_t)(int64_t)entries[i].fde;
		uint32_t distance;
		memcpy(&distance, (void *)(f + 4), 4);
		if (distance < nearest) {
			nearest = distance;
			fde = f;
		}
	}
	struct copy c = copy_entry(fde);
	int32_t relative;
	memcpy(&relative, c.bytes + c.fde_at + 8, 4);
	start = (uint64_t)(c.bytes + c.fde_at + 8) + (uint64_t)(int64_t)relative;
	for (size_t i = 0; i < c.size; i++) {
		/* Lengths bound the rest, so with a longer entry reading continues in the table,
		 * as it would in memory. */
		if (i < 4 || (i >= c.fde_at && i < c.fde_at + 8))
			continue;
		for (int bit = 0; bit < 8; bit++) {
			struct cfi_row row;
			c.bytes[i] ^= (uint8_t)(1 << bit);
			assert_in_range(cfi_compile(&c.module, (uint64_t)c.bytes + c.fde_at,
						    start + 1, &row),
					CFI_ROW, CFI_BAD);
			c.bytes[i] ^= (uint8_t)(1 << bit);
		}
	}
	for (uint32_t length = 0; length < c.size - c.fde_at - 4; length++) {
		struct cfi_row row;
		memcpy(c.bytes + c.fde_at, &length, 4);
		assert_in_range(
			cfi_compile(&c.module, (uint64_t)c.bytes + c.fde_at, start + 1, &row),
			CFI_ROW, CFI_BAD);
	}
	free(c.bytes);
}

static void test_outside_of_the_function_is_bad(void **state)
{
	struct table table = {0};
	uint32_t count;
	const struct entry *entries = libc_entries(&table, &count);
	struct cfi_row row;

	(void)state;
	assert_int_equal(cfi_compile(&table.module,
				     table.header + (uint64_t)(int64_t)entries[1].fde,
				     table.header + (uint64_t)(int64_t)entries[1].pc - 1, &row),
			 CFI_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_agree_with_libunwind),
		cmocka_unit_test(test_steps_agree_with_libunwind),
		cmocka_unit_test(test_damaged_tables_are_survived),
		cmocka_unit_test(test_outside_of_the_function_is_bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
