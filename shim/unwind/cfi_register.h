/* The registers described by call frame information. */
#ifndef CGOHEAP_CFI_REGISTER_H
#define CGOHEAP_CFI_REGISTER_H

#include <assert.h>

#include "base/arch.h"
#include "base/base.h"

/* The registers that survive a call on amd64: the callee-saved ones, in the order of struct regs
 * from bp on, and rsp. */
enum cfi_register {
	CFI_BP,
	CFI_BX,
	CFI_R12,
	CFI_R13,
	CFI_R14,
	CFI_R15,
	CFI_SAVED, /* how many can be saved in a frame */
	CFI_SP = CFI_SAVED,
	CFI_REGISTERS,
	CFI_NONE = CFI_REGISTERS
};

static_assert(offsetof(struct regs, r15) == offsetof(struct regs, bp) + CFI_R15 * 8, "in order");

/* Where the register is; r below CFI_REGISTERS. */
static inline uint64_t *cfi_register_in(struct regs *regs, unsigned r)
{
	return r == CFI_SP ? &regs->sp : &regs->bp + r;
}

#endif
