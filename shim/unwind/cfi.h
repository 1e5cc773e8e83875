/*
 * One row of call frame information: how to get from the registers inside a
 * function to those of its caller, in the form that nearly all of the code
 * there is needs.  Compiled from an .eh_frame FDE by a small interpreter that
 * checks every byte against the FDE's length and gives up on what a row cannot
 * say.
 *
 * Format: DWARF 5 section 6.4, LSB Core 5.0 section 10.6 (.eh_frame).
 */
#ifndef CGOHEAP_CFI_H
#define CGOHEAP_CFI_H

#include "base/arch.h"
#include "base/base.h"
#include "unwind/cfi_register.h"
#include "unwind/fde.h"
#include "unwind/saferead.h"

/* The offset that says "still in the register". */
#define CFI_SAME INT16_MIN

struct cfi_row {
	int32_t cfa_offset;   /* CFA = value of cfa_register + cfa_offset */
	uint8_t cfa_register; /* enum cfi_register */
	uint8_t reserved[3];
	int16_t saved[CFI_SAVED]; /* at CFA + 8 * saved[r]; CFI_SAME = unchanged */
	int16_t return_address;   /* at CFA + 8 * return_address */
};

enum cfi_result {
	CFI_ROW,     /* *row is good */
	CFI_ROOT,    /* the return address is undefined: nobody called this */
	CFI_SIGNAL,  /* a signal frame: its caller's registers are in the ucontext */
	CFI_COMPLEX, /* DWARF expressions and the like: cfi_step's job */
	CFI_BAD,     /* does not decode */
};

/*
 * The row in force at pc.  fde: address of an FDE (where its length field is), as
 * the module's table has it for pc; it and its CIE lie in the module's readable
 * stretch, or it is CFI_BAD.  Async-signal-safe.
 */
enum cfi_result cfi_compile(const struct fde_module *module, uint64_t fde, uint64_t pc,
			    struct cfi_row *row);

/*
 * From the frame at pc, whose registers these are, to its caller's, by the rules
 * themselves: what a row cannot say.  *is_signal: the caller was interrupted, its ip
 * is no return address.  CFI_ROW: done; CFI_ROOT: there is no caller; CFI_BAD: the
 * rules do not decode, or want what is not there.  Async-signal-safe.
 */
enum cfi_result cfi_step(const struct fde_module *module, uint64_t fde, uint64_t pc,
			 struct saferead *memory, struct regs *regs, bool *is_signal);

#endif
