/* The layout of rows, for row_amd64.c and quickwalk_amd64.c. */
#ifndef CGOHEAP_ROW_AMD64_H
#define CGOHEAP_ROW_AMD64_H

#include "unwind/row.h"

/*
 * On amd64 a call pushes the return address, so it is the word below the CFA; code that keeps a
 * frame pointer has the caller's just below that.
 *
 * Bits of a row:
 *    0..3   kind
 *    4..7   ROW_IN_SHIM (row.h); ROW_SHORT_SP or ROW_SHORT_BP for the rows that nearly all code has
 *    8..15  where rbp is saved: 0 nowhere, n: ROW_BP_WORDS - n words below CFA
 *   16..45  rbx, r12 to r15, 6 bits each: 0 nowhere, n: n + 1 words below CFA
 *   46..48  the register that CFA is computed from
 *   49..63  CFA - that register, in words
 */
#define ROW_SHORT_SP 0x20 /* CFA = rsp + n, and what is saved lies between them */
#define ROW_SHORT_BP 0x40 /* CFA = rbp + 16, rbp is saved at rbp */
#define ROW_FORM     0xff
#define ROW_BP_WORDS 256
#define ROW_BY_SP    (PCINFO_C | ROW_SHORT_SP)
#define ROW_BY_BP    (PCINFO_C | ROW_SHORT_BP)

static inline uint64_t row_cfa_bytes(uint64_t row)
{
	return row >> 49 << 3;
}

/* Where rbp is saved: so far above CFA - 8 * ROW_BP_WORDS; 0: nowhere. */
static inline uint64_t row_bp_bytes(uint64_t row)
{
	return (row >> 8 & 0xff) << 3;
}

/* That place, from where a frame record would be, 16 bytes below CFA. */
#define ROW_BP_AT ((uint64_t)16 - 8 * ROW_BP_WORDS)

#endif
