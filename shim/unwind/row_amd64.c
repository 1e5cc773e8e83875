/* See row.h and row_amd64.h. */
#include "unwind/row_amd64.h"

#define RETURN_ADDRESS_SLOT (-1) /* in words from CFA */
#define MOST_CFA_WORDS      0x7fff
#define MOST_WORDS          64

static unsigned shift_of(unsigned r)
{
	return 16 + 6 * (r - CFI_BX);
}

static int pack_others(const struct cfi_row *from, uint64_t *row)
{
	for (unsigned r = CFI_BX; r < CFI_SAVED; r++) {
		int slot = from->saved[r];
		if (slot == CFI_SAME)
			continue;
		if (slot >= RETURN_ADDRESS_SLOT || slot < -MOST_WORDS)
			return -1;
		*row |= (uint64_t)(-slot - 1) << shift_of(r);
	}
	return 0;
}

static int pack_bp(const struct cfi_row *from, uint64_t *row)
{
	int slot = from->saved[CFI_BP];

	if (slot == CFI_SAME)
		return 0;
	if (slot >= RETURN_ADDRESS_SLOT || slot <= -ROW_BP_WORDS)
		return -1;
	*row |= (uint64_t)(ROW_BP_WORDS + slot) << 8;
	return 0;
}

static uint64_t short_form(const struct cfi_row *from, int32_t cfa_words)
{
	bool is_below_sp = from->saved[CFI_BP] != CFI_SAME && -from->saved[CFI_BP] > cfa_words;

	if (from->cfa_register == CFI_SP && cfa_words >= 1 && !is_below_sp)
		return ROW_SHORT_SP;
	if (from->cfa_register == CFI_BP && cfa_words == 2 && from->saved[CFI_BP] == -2)
		return ROW_SHORT_BP;
	return 0;
}

int row_pack(const struct cfi_row *from, uint64_t *row)
{
	int32_t words = from->cfa_offset / 8;

	if (from->return_address != RETURN_ADDRESS_SLOT || from->cfa_offset % 8 || words < 0 ||
	    words > MOST_CFA_WORDS || from->cfa_register >= CFI_REGISTERS)
		return -1;
	*row = (uint64_t)words << 49 | (uint64_t)from->cfa_register << 46 | PCINFO_C |
	       short_form(from, words);
	return pack_bp(from, row) || pack_others(from, row) ? -1 : 0;
}

int row_unpack(uint64_t row, struct cfi_row *to)
{
	int32_t words = (int32_t)(row >> 49), bp = (int32_t)(row >> 8 & 0xff);

	to->cfa_register = row >> 46 & 7;
	to->cfa_offset = 8 * words;
	to->return_address = RETURN_ADDRESS_SLOT;
	if (row_kind(row) != PCINFO_C || to->cfa_register >= CFI_REGISTERS)
		return -1;
	to->saved[CFI_BP] = (int16_t)(bp ? bp - ROW_BP_WORDS : CFI_SAME);
	for (unsigned r = CFI_BX; r < CFI_SAVED; r++) {
		int field = row >> shift_of(r) & 63;
		to->saved[r] = (int16_t)(field ? -field - 1 : CFI_SAME);
	}
	return 0;
}
