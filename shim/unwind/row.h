/*
 * What is at a return address, in one word: the kind of code, and for C code with plain unwind
 * information the row that leads to its caller.
 *
 * The architecture's part: on amd64 a call pushes the return address, so it is the word below the
 * CFA; code that keeps a frame pointer has the caller's just below that.  What does not fit
 * in a word is of kind PCINFO_C_COMPLEX, and cfi_step follows its rules.
 */
#ifndef CGOHEAP_ROW_H
#define CGOHEAP_ROW_H

#include "base/base.h"
#include "unwind/cfi.h"

/* Kinds of code.  unwind_go.h walks the Go kinds. */
enum pcinfo_kind {
	PCINFO_UNKNOWN,     /* not yet looked up */
	PCINFO_C,           /* C with a row */
	PCINFO_C_ROOT,      /* the start of a thread or process */
	PCINFO_C_SIGNAL,    /* the kernel's signal frame */
	PCINFO_C_COMPLEX,   /* C that needs cfi_step */
	PCINFO_C_NO_CFI,    /* no unwind information */
	PCINFO_C_BAD_CFI,   /* undecodable unwind information */
	PCINFO_C_IN_GO,     /* C inside Go's text (internal linking): never has CFI */
	PCINFO_GO,          /* a Go function */
	PCINFO_GO_ROOT,     /* runtime.goexit, mstart, mcall, rt0_go: the end of a stack */
	PCINFO_ASMCGOCALL,  /* Go called C */
	PCINFO_CROSSCALL2,  /* C called Go */
	PCINFO_CALLBACKASM, /* the same without cgo: where purego calls crosscall2 */
};

/*
 * Bits of a row:
 *    0..3   kind
 *    4..7   ROW_IN_SHIM; ROW_SHORT_SP or ROW_SHORT_BP for the rows that nearly all code has
 *    8..15  where rbp is saved: 0 nowhere, n: ROW_BP_WORDS - n words below CFA
 *   16..45  rbx, r12 to r15, 6 bits each: 0 nowhere, n: n + 1 words below CFA
 *   46..48  the register that CFA is computed from
 *   49..63  CFA - that register, in words
 */
#define ROW_KIND     0x0f
#define ROW_IN_SHIM  0x10
#define ROW_SHORT_SP 0x20 /* CFA = rsp + n, and what is saved lies between them */
#define ROW_SHORT_BP 0x40 /* CFA = rbp + 16, rbp is saved at rbp */
#define ROW_FORM     0xff
#define ROW_BP_WORDS 256
#define ROW_BY_SP    (PCINFO_C | ROW_SHORT_SP)
#define ROW_BY_BP    (PCINFO_C | ROW_SHORT_BP)

static inline enum pcinfo_kind row_kind(uint64_t row)
{
	return (enum pcinfo_kind)(row & ROW_KIND);
}

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

/* Of kind PCINFO_C.  0, or -1: the row does not fit. */
int row_pack(const struct cfi_row *from, uint64_t *row);
/* The reverse.  -1: row is not of that kind, or damaged. */
int row_unpack(uint64_t row, struct cfi_row *to);

#endif
