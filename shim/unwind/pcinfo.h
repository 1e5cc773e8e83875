/*
 * What is at a pc: the kind of code, and for C code with plain unwind information the row
 * that leads to its caller.
 *
 * A cache in the region keeps 32 bytes for each pc seen, so walking a stack of known
 * addresses needs no lock, search or system call.  Other addresses are looked up in Go's
 * tables and in the unwind tables of their module (codetables.h).
 *
 * Any thread; lock-free; async-signal-safe.
 */
#ifndef CGOHEAP_PCINFO_H
#define CGOHEAP_PCINFO_H

#include "base/base.h"

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

/* How to step from a pc of kind PCINFO_C; a packed struct cfi_row. */
struct pcinfo {
	uint64_t pc;
	uint8_t kind;
	uint8_t cfa_register;
	int16_t return_address;
	int32_t cfa_offset;
	int16_t saved[6];    /* by enum cfi_register */
	uint32_t generation; /* of the loaded code, when this was looked up */
};

/*
 * Looks up pc (an address inside the call: return address - 1, or the exact address of an
 * interrupted instruction).  Returns a copy, because the cache may be full or another
 * thread may be writing the entry.
 */
struct pcinfo pcinfo_at(uint64_t pc);

/* How many lookups missed the cache. */
uint64_t pcinfo_lookups(void);

#endif
