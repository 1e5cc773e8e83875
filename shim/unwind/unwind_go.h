/*
 * Walks Go frames by frame pointer, from a C call back to the goroutine's root or to the
 * C code that called into Go.
 *
 * Sources: runtime/asm_*.s (asmcgocall, cgocallback, systemstack), runtime/runtime2.go (g, m),
 * Go 1.21 to 1.27; goframes.h.
 */
#ifndef CGOHEAP_UNWIND_GO_H
#define CGOHEAP_UNWIND_GO_H

#include "base/arch.h"
#include "base/base.h"
#include "unwind/saferead.h"

struct gomodule;

struct go_stack {
	uint64_t lo, hi;
};

/* A position on a chain of Go frame records. */
struct go_cursor {
	uint64_t record;       /* address of the frame record {caller's record, return pc} */
	struct go_stack stack; /* of the goroutine; lo == hi: unknown */
	uint64_t g;            /* the goroutine; 0: unknown */
	const struct gomodule *module; /* of the latest frame's code; its runtime's layouts apply */
	uint64_t thread_stack; /* stack pointer on the thread's stack: records are above it */
	bool is_own; /* g waits for the C code that this thread is in: it and its stack stay */
};

/*
 * C code returned to pc in runtime.asmcgocall with stack pointer sp: finds the goroutine's
 * frame record of the call.  False: not a known form.
 */
bool unwind_go_enter(struct saferead *memory, uint64_t pc, uint64_t sp, struct go_cursor *out);

/*
 * For C code without unwind information (internal linking, assembly): searches the thread's
 * stack upwards from sp for a return into asmcgocall that unwind_go_enter accepts, into
 * callCgoMmap, or into rt0_go, which calls x_cgo_init directly (the cursor's record is then 0).
 * Passes what earlier calls left behind.  out: where the walk is (a cursor of zeros: it was not in
 * Go yet), then where it goes on.  *pc: that return address.
 */
bool unwind_go_search(struct saferead *memory, uint64_t sp, struct go_cursor *out, uint64_t *pc);

/* Enters a Go frame at pc that was reached by a plain call (callCgoMmap and similar), at its
 * record, the frame pointer. */
void unwind_go_enter_at(uint64_t pc, uint64_t record, uint64_t sp, struct go_cursor *out);

/*
 * purego's callbackasm1 called crosscall2: changes its registers to those of the C code that
 * called back.  False: not a known form.
 */
bool unwind_go_callback(struct saferead *memory, struct regs *regs);

enum go_step {
	GO_STEP_FRAME,     /* *pc is the return pc of another Go frame */
	GO_STEP_ROOT,      /* *pc is in a function without a caller: the end */
	GO_STEP_CROSSCALL, /* *pc is in crosscall2; *regs are the C caller's */
	GO_STEP_BAD,       /* the chain leaves the stacks it may be on */
};
enum go_step unwind_go_step(struct saferead *memory, struct go_cursor *cursor, uint64_t *pc,
			    struct regs *regs);

#endif
