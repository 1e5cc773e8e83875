/* The registers described by call frame information. */
#ifndef CGOHEAP_CFI_REGISTER_H
#define CGOHEAP_CFI_REGISTER_H

#include <assert.h>

#include "base/arch.h"
#include "base/base.h"

/*
 * The processor's: enum cfi_register, the registers that survive a call, with CFI_BP, CFI_SAVED
 * (how many can be saved in a frame), CFI_SP, CFI_REGISTERS and CFI_NONE; CFI_RETURN_ADDRESS, the
 * column of the return address; and cfi_register_of_dwarf.
 */
#include ARCH_HEADER(cfi_register)

/* Where the register is; r below CFI_REGISTERS. */
static inline uint64_t *cfi_register_in(struct regs *regs, unsigned r)
{
	return r == CFI_SP ? &regs->sp : &regs->bp + r;
}

#endif
