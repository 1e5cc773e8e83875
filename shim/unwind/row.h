/*
 * What is at a return address, in one word: the kind of code, and for C code with plain unwind
 * information the row that leads to its caller.
 *
 * Its layout is the processor's (row_amd64.h).  What does not fit in a word is of kind
 * PCINFO_C_COMPLEX, and cfi_step follows its rules.
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
	PCINFO_GO_SWITCH,   /* goframes_is_switch */
};

/* Bits that every row has: the kind, and ROW_IN_SHIM. */
#define ROW_KIND    0x0f
#define ROW_IN_SHIM 0x10

static inline enum pcinfo_kind row_kind(uint64_t row)
{
	return (enum pcinfo_kind)(row & ROW_KIND);
}

/* Of kind PCINFO_C.  0, or -1: the row does not fit. */
int row_pack(const struct cfi_row *from, uint64_t *row);
/* The reverse.  -1: row is not of that kind, or damaged. */
int row_unpack(uint64_t row, struct cfi_row *to);

#endif
