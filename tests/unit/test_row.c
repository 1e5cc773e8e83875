/* Rows in one word (row.h): whatever fits comes back as it was, whatever the processor's layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unwind/row.h"

#define TRIES 20000

static int any_of(int from, int to)
{
	return from + rand() % (to - from + 1);
}

/* As compilers save registers: x19 and its like beside each other, or each where there is room. */
static struct cfi_row some_row(void)
{
	struct cfi_row row = {.cfa_register = (uint8_t)(rand() % 2 ? CFI_SP : CFI_BP),
			      .cfa_offset = 8 * any_of(0, 700),
			      .return_address = (int16_t)(rand() % 2 ? -1 : any_of(-600, -1))};
	int step = rand() % 2 ? 1 : -1, first = row.return_address + any_of(-20, 20);
	bool are_together = rand() % 2;

	for (int r = CFI_BP + 1; r < CFI_SAVED; r++) {
		int slot = are_together ? first + step * r : any_of(-70, 3);
		row.saved[r] = (int16_t)(rand() % 3 ? slot : CFI_SAME);
	}
	row.saved[CFI_BP] = (int16_t)(rand() % 4 ? row.return_address - 1 : CFI_SAME);
	return row;
}

static void assert_same(const struct cfi_row *a, const struct cfi_row *b)
{
	assert_int_equal(a->cfa_register, b->cfa_register);
	assert_int_equal(a->cfa_offset, b->cfa_offset);
	assert_int_equal(a->return_address, b->return_address);
	assert_memory_equal(a->saved, b->saved, sizeof(a->saved));
}

static void test_what_fits_comes_back(void **state)
{
	uint32_t packed = 0;

	(void)state;
	for (int i = 0; i < TRIES; i++) {
		struct cfi_row row = some_row(), back;
		uint64_t word = 0;
		if (row_pack(&row, &word))
			continue;
		packed++;
		assert_int_equal(row_kind(word), PCINFO_C);
		assert_int_equal(word & ROW_IN_SHIM, 0);
		assert_int_equal(row_unpack(word | ROW_IN_SHIM, &back), 0);
		assert_same(&row, &back);
	}
	assert_true(packed > TRIES / 20);
}

/* All registers are saved, right above the return address or right below. */
static void test_a_full_frame_fits(void **state)
{
	struct cfi_row row = {.cfa_register = CFI_SP, .cfa_offset = 160, .return_address = -1};
	struct cfi_row back;
	uint64_t word;

	(void)state;
	row.saved[CFI_BP] = -2;
	for (int r = CFI_BP + 1; r < CFI_SAVED; r++)
		row.saved[r] = (int16_t)(-2 - r);
	assert_int_equal(row_pack(&row, &word), 0);
	assert_int_equal(row_unpack(word, &back), 0);
	assert_same(&row, &back);
}

static void test_what_does_not_fit_is_refused(void **state)
{
	struct cfi_row row = {.cfa_register = CFI_SP, .cfa_offset = 160, .return_address = -1};
	uint64_t word;

	(void)state;
	for (int r = 0; r < CFI_SAVED; r++)
		row.saved[r] = CFI_SAME;
	assert_int_equal(row_pack(&row, &word), 0);
	row.cfa_offset = 164;
	assert_int_equal(row_pack(&row, &word), -1);
	row.cfa_offset = 8 * 0x8000;
	assert_int_equal(row_pack(&row, &word), -1);
	row.cfa_offset = 160;
	row.saved[CFI_BP] = -2000;
	assert_int_equal(row_pack(&row, &word), -1);
	row.saved[CFI_BP] = CFI_SAME;
	row.return_address = 0;
	assert_int_equal(row_pack(&row, &word), -1);
	assert_int_equal(row_unpack(PCINFO_GO, &row), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_fits_comes_back),
		cmocka_unit_test(test_a_full_frame_fits),
		cmocka_unit_test(test_what_does_not_fit_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
