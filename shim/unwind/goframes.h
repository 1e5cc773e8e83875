/*
 * Where Go's assembly keeps what a walk between C and Go needs, in Go 1.21 to 1.27: the processor's
 * part of unwind_go.c and owngo.h.
 *
 * asmcgocall keeps two words above its stack pointer while it calls C, at goframes_saved_at.  At
 * GOFRAMES_G_AT from there is the goroutine, and at GOFRAMES_DEPTH_AT how far below the stack.hi of
 * that goroutine the stack pointer was; or 0, and that stack pointer.  Its frame record is
 * GOFRAMES_RECORD_BELOW it.  C code's return address to asmcgocall is just below asmcgocall's stack
 * pointer, or up to GOFRAMES_SEARCHED times 16 bytes; called from Go, asmcgocall has its stack
 * pointer GOFRAMES_CALLER_SP above the callee's record.
 *
 * goframes_is_link: reads a record's link, and mends what is no record.  c_sp: the stack pointer
 * with which C was called.  False: unreadable.
 *
 * goframes_is_switch: a function from which the chain does not lead back to the goroutine's stack,
 * whose frame pointer is in its g instead, at goframes_switched_bp (0: the chain does, in this
 * release).
 *
 * Any thread; async-signal-safe.
 */
#ifndef CGOHEAP_GOFRAMES_H
#define CGOHEAP_GOFRAMES_H

#include "base/arch.h"
#include "unwind/saferead.h"
#include ARCH_HEADER(goframes)

/*
 * The registers that C code had when it called crosscall2.  record: of the function that crosscall2
 * called, which has the return address to it and the frame pointer b.  -1: unreadable.
 */
int goframes_crosscall(struct saferead *memory, uint64_t record, uint64_t b, bool is_1_21,
		       struct regs *regs);

/* Changes the registers of callbackasm1 to those of the C code that called it.  -1: unreadable. */
int goframes_callback(struct saferead *memory, struct regs *regs);

/* callCgoMmap's record, where a return address in it is in the word below sp.  0: unknown. */
uint64_t goframes_mmap_record(struct saferead *memory, uint64_t sp);

#endif
