/*
 * Call frame information as one row: how to compute the caller's registers from those
 * inside a function, in the form that suffices for nearly all code.  A small interpreter
 * compiles it from an .eh_frame FDE, checks every byte against the FDE's length and gives
 * up on what a row cannot express.
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

/* An offset that means "still in the register". */
#define CFI_SAME INT16_MIN

struct cfi_row {
	int32_t cfa_offset;   /* CFA = value of cfa_register + cfa_offset */
	uint8_t cfa_register; /* enum cfi_register */
	uint8_t reserved[3];
	int16_t saved[CFI_SAVED]; /* at CFA + 8 * saved[r]; CFI_SAME = unchanged */
	int16_t return_address;   /* at CFA + 8 * return_address */
};

enum cfi_result {
	CFI_ROW,     /* *row is valid */
	CFI_ROOT,    /* the return address is undefined: no caller */
	CFI_SIGNAL,  /* a signal frame: the interrupted registers are in the ucontext */
	CFI_COMPLEX, /* DWARF expressions and similar: for cfi_step */
	CFI_BAD,     /* undecodable */
};

/*
 * The row in force at pc.  fde: address of the FDE's length field, as the module's table
 * has it for pc.  CFI_BAD unless it and its CIE are in the module's readable range.
 * Async-signal-safe.
 */
enum cfi_result cfi_compile(const struct fde_module *module, uint64_t fde, uint64_t pc,
			    struct cfi_row *row);

/*
 * Steps from the frame at pc with these registers to its caller's, by the rules
 * themselves, for what a row cannot express.  *is_signal: the caller was interrupted, so
 * its ip is not a return address.  CFI_ROW: done; CFI_ROOT: no caller; CFI_BAD: the rules
 * are undecodable or need unreadable memory.  Async-signal-safe.
 */
enum cfi_result cfi_step(const struct fde_module *module, uint64_t fde, uint64_t pc,
			 struct saferead *memory, struct regs *regs, bool *is_signal);

#endif
