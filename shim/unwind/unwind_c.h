/*
 * Steps over C frames, and the cache of what is known of each return address.
 *
 * For each pc seen the cache keeps 32 bytes: what kind of place it is, and for
 * C code with plain unwind information the row that leads to its caller.  A
 * stack of known addresses is walked without a lock, a search or a system call.
 *
 * A new pc's FDE is looked for in the table of its module (fde.h), which glibc's
 * lock-free _dl_find_object names (since 2.35; before, dl_iterate_phdr, under a lock
 * of the loader's that another thread may hold for a moment).  Frames that a row
 * cannot express are stepped by cfi_step.
 *
 * A module's tables are read where they lie.  So that dlclose does not take them away
 * meanwhile, it waits for who reads (a few microseconds); who comes while it runs does
 * not read, and his stack ends there.
 */
#ifndef CGOHEAP_UNWIND_C_H
#define CGOHEAP_UNWIND_C_H

#include "base/arch.h"
#include "base/base.h"
#include "unwind/capture_end.h"
#include "unwind/saferead.h"

/* What stands at a pc.  Go kinds: unwind_go.h walks those. */
enum place_kind {
	PLACE_UNKNOWN,     /* not yet looked up */
	PLACE_C,           /* C with a row */
	PLACE_C_ROOT,      /* nobody called this: start of a thread or process */
	PLACE_C_SIGNAL,    /* the kernel's signal frame */
	PLACE_C_COMPLEX,   /* C that cfi_step steps */
	PLACE_C_NO_CFI,    /* no unwind information */
	PLACE_C_BAD_CFI,   /* information that does not decode */
	PLACE_C_IN_GO,     /* C inside Go's text (internal linking): no CFI by nature */
	PLACE_GO,          /* a Go function */
	PLACE_GO_ROOT,     /* runtime.goexit, mstart, mcall, rt0_go: a stack's end */
	PLACE_ASMCGOCALL,  /* Go called C */
	PLACE_CROSSCALL2,  /* C called Go */
	PLACE_CALLBACKASM, /* the same without cgo: purego calls crosscall2 from here */
};

/* How to step from a place of kind PLACE_C; as struct cfi_row, packed. */
struct place {
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
struct place unwind_c_place(uint64_t pc);

/* How many places were looked up, that is, were not in the cache. */
uint64_t unwind_c_lookups(void);

/* What was remembered of any C address no longer holds.  Any thread. */
void unwind_c_forget(void);

/*
 * Around what may unload code, on any thread, in pairs: in between tables are not read,
 * and at the end all is forgotten.
 */
void unwind_c_unload_begins(void);
void unwind_c_unload_ends(void);

/* In a child of fork: what other threads were in the middle of is over. */
void unwind_c_after_fork_in_child(void);

/* Once, in the constructor. */
void unwind_c_init(void);

/*
 * From the frame `regs` is in to its caller's, along `place`.  exact: set when
 * the new ip is an interrupted instruction, not a return address.  0, or the
 * enum capture_end that says why not.
 */
int unwind_c_step(struct saferead *memory, const struct place *place, struct regs *regs,
		  bool *exact);

#endif
