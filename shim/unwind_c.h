/*
 * Steps over C frames, and the cache of what is known of each return address.
 *
 * For each pc seen the cache keeps 32 bytes: what kind of place it is, and for
 * C code with plain unwind information the row that leads to its caller.  A
 * stack of known addresses is walked without a lock, a search or a system call
 * other than memory.h's.
 *
 * A new pc's FDE is looked for in the table of its module (fde.h), which glibc's
 * lock-free _dl_find_object names (since 2.35; before, LLVM's libunwind finds the
 * FDE).  libunwind also steps the frames that a row cannot express.  It asks the
 * loader for modules through dl_iterate_phdr, whose lock another thread may hold
 * for as long as a library's constructors run: so that call is answered by us from
 * _dl_find_object too.  Where libunwind gives up by abort(), the stack ends there
 * and the host runs on.
 */
#ifndef CGOHEAP_UNWIND_C_H
#define CGOHEAP_UNWIND_C_H

#include "arch.h"
#include "base.h"
#include "capture.h"
#include "memory.h"

/* What stands at a pc.  Go kinds: unwind_go.h walks those. */
enum place_kind {
	PLACE_UNKNOWN,    /* not yet looked up */
	PLACE_C,          /* C with a row */
	PLACE_C_ROOT,     /* nobody called this: start of a thread or process */
	PLACE_C_SIGNAL,   /* the kernel's signal frame */
	PLACE_C_COMPLEX,  /* C that only libunwind can step */
	PLACE_C_NO_CFI,   /* no unwind information */
	PLACE_C_BAD_CFI,  /* information that does not decode */
	PLACE_C_IN_GO,    /* C inside Go's text (internal linking): no CFI by nature */
	PLACE_GO,         /* a Go function */
	PLACE_GO_ROOT,    /* runtime.goexit, mstart, mcall, rt0_go: a stack's end */
	PLACE_ASMCGOCALL, /* Go called C */
	PLACE_CROSSCALL2, /* C called Go */
};

/* How to step from a place of kind PLACE_C; as struct cfi_row, packed. */
struct place {
	uint64_t pc;
	uint8_t kind;
	uint8_t cfa_register;
	int16_t return_address;
	int32_t cfa_offset;
	int16_t saved[7];    /* by enum cfi_register */
	uint16_t generation; /* of the loaded code that it describes */
};

/*
 * What stands at pc (the address inside the call: return address - 1, or the
 * exact address of an interrupted instruction).  By value: the cache may be
 * full or another thread's entry half written.
 */
struct place unwind_c_place(uint64_t pc);

/* Code was unloaded: what was remembered of any C address no longer holds.  Any thread. */
void unwind_c_forget(void);

/* Once, in the constructor. */
void unwind_c_init(void);

/*
 * From the frame `regs` is in to its caller's, along `place`.  exact: set when
 * the new ip is an interrupted instruction, not a return address.  0, or the
 * enum capture_end that says why not.
 */
int unwind_c_step(struct memory *memory, const struct place *place, struct regs *regs, bool *exact);

#endif
