/*
 * What stands at a pc: what kind of code, and for C code with plain unwind information the
 * row that leads to its caller.
 *
 * A cache in the region keeps 32 bytes for each pc seen, so that a stack of known addresses
 * is walked without a lock, a search or a system call.  What is not in it is looked up in Go's
 * tables and in the unwind tables of its module (codetables.h).
 *
 * Any thread; lock-free; async-signal-safe.
 */
#ifndef CGOHEAP_PCINFO_H
#define CGOHEAP_PCINFO_H

#include "base/base.h"

/* What stands at a pc.  Go kinds: unwind_go.h walks those. */
enum pcinfo_kind {
	PCINFO_UNKNOWN,     /* not yet looked up */
	PCINFO_C,           /* C with a row */
	PCINFO_C_ROOT,      /* start of a thread or process */
	PCINFO_C_SIGNAL,    /* the kernel's signal frame */
	PCINFO_C_COMPLEX,   /* C that cfi_step steps */
	PCINFO_C_NO_CFI,    /* no unwind information */
	PCINFO_C_BAD_CFI,   /* information that does not decode */
	PCINFO_C_IN_GO,     /* C inside Go's text (internal linking): no CFI by nature */
	PCINFO_GO,          /* a Go function */
	PCINFO_GO_ROOT,     /* runtime.goexit, mstart, mcall, rt0_go: a stack's end */
	PCINFO_ASMCGOCALL,  /* Go called C */
	PCINFO_CROSSCALL2,  /* C called Go */
	PCINFO_CALLBACKASM, /* the same without cgo: purego calls crosscall2 from here */
};

/* How to step from a pc of kind PCINFO_C; as struct cfi_row, packed. */
struct pcinfo {
	uint64_t pc;
	uint8_t kind;
	uint8_t cfa_register;
	int16_t return_address;
	int32_t cfa_offset;
	int16_t saved[6];    /* by enum cfi_register */
	uint32_t generation; /* of the loaded code that it describes */
};

/*
 * What stands at pc (the address inside the call: return address - 1, or the
 * exact address of an interrupted instruction).  By value: the cache may be
 * full or another thread's entry half written.
 */
struct pcinfo pcinfo_at(uint64_t pc);

/* How many were looked up, that is, were not in the cache. */
uint64_t pcinfo_lookups(void);

#endif
