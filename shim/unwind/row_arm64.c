/*
 * See row.h.  A function saves x29 and the return address as a pair, and those of x19 to x28 that
 * it uses beside each other, in rising (gcc) or falling order (clang).
 *
 * Bits of a row:
 *    0..4   row.h
 *    5      CFA is computed from x29, else from sp
 *    6      x29 is saved below the return address
 *    7      x19 to x28 lie in falling order
 *    8..22  CFA - that register, in words
 *   23..36  the return address: so many words below CFA
 *   37..46  which of x19 to x28 are saved
 *   47..63  where x19 is or would be: words above the return address, signed
 */
#include "unwind/row.h"

#define FROM_X29  UINT64_C(0x20)
#define SAVES_X29 UINT64_C(0x40)
#define FALLS     UINT64_C(0x80)
#define OTHERS    10

#define CFA_AT      8
#define MOST_CFA    0x7fff
#define RETURN_AT   23
#define MOST_RETURN 0x3fff
#define SAVED_AT    37
#define X19_AT      47

/* Whether all are where the first is, going on by step. */
static bool fits(const struct cfi_row *from, int x19, int step)
{
	for (int r = 0; r < OTHERS; r++) {
		int slot = from->saved[CFI_X19 + r];
		if (slot != CFI_SAME && slot != x19 + step * r)
			return false;
	}
	return true;
}

/* Where the first of them is, with the order it has to the others. */
static int pack_place(const struct cfi_row *from, int first, uint64_t *row)
{
	int slot = from->saved[CFI_X19 + first], step = fits(from, slot - first, 1) ? 1 : -1;
	int x19 = slot - step * first;

	*row |= (uint64_t)(int64_t)(x19 - from->return_address) << X19_AT;
	*row |= step < 0 ? FALLS : 0;
	return fits(from, x19, step) ? 0 : -1;
}

static int pack_others(const struct cfi_row *from, uint64_t *row)
{
	int first = OTHERS;

	for (int r = OTHERS - 1; r >= 0; r--)
		if (from->saved[CFI_X19 + r] != CFI_SAME) {
			*row |= UINT64_C(1) << (SAVED_AT + r);
			first = r;
		}
	return first < OTHERS ? pack_place(from, first, row) : 0;
}

int row_pack(const struct cfi_row *from, uint64_t *row)
{
	int32_t words = from->cfa_offset / 8;
	int16_t bp = from->saved[CFI_BP];

	if (from->cfa_offset % 8 || words < 0 || words > MOST_CFA || from->return_address >= 0 ||
	    -from->return_address > MOST_RETURN ||
	    (from->cfa_register != CFI_SP && from->cfa_register != CFI_BP) ||
	    (bp != CFI_SAME && bp != from->return_address - 1))
		return -1;
	*row = PCINFO_C | (uint64_t)words << CFA_AT | (uint64_t)-from->return_address << RETURN_AT |
	       (from->cfa_register == CFI_BP ? FROM_X29 : 0) | (bp != CFI_SAME ? SAVES_X29 : 0);
	return pack_others(from, row);
}

int row_unpack(uint64_t row, struct cfi_row *to)
{
	int64_t x19 = (int64_t)row >> X19_AT;
	int step = row & FALLS ? -1 : 1;

	if (row_kind(row) != PCINFO_C)
		return -1;
	to->cfa_register = row & FROM_X29 ? CFI_BP : CFI_SP;
	to->cfa_offset = 8 * (int32_t)(row >> CFA_AT & MOST_CFA);
	to->return_address = (int16_t) - (int)(row >> RETURN_AT & MOST_RETURN);
	to->saved[CFI_BP] = (int16_t)(row & SAVES_X29 ? to->return_address - 1 : CFI_SAME);
	for (int r = 0; r < OTHERS; r++)
		to->saved[CFI_X19 + r] =
			(int16_t)(row >> (SAVED_AT + r) & 1 ? to->return_address + x19 + step * r
							    : CFI_SAME);
	return 0;
}
