/*
 * The frame that the kernel puts on the stack for a signal handler: the registers of the code that
 * was interrupted.  The processor's, as the kernel's headers have it.
 *
 * Any thread; async-signal-safe.
 */
#ifndef CGOHEAP_SIGNALFRAME_H
#define CGOHEAP_SIGNALFRAME_H

#include "base/arch.h"
#include "unwind/saferead.h"

/* Whether this code, of SIGNALFRAME_CODE_BYTES bytes, is what a handler returns to. */
#define SIGNALFRAME_CODE_BYTES 9
bool signalframe_is_return(const void *code);

/* The same by what is on the stack, for processors where that code has no CFI. */
bool signalframe_is_at(struct saferead *memory, uint64_t sp);

/* The interrupted registers, while the handler's caller has its stack pointer at sp.  -1:
 * unreadable. */
int signalframe_read(struct saferead *memory, uint64_t sp, struct regs *regs);

#endif
