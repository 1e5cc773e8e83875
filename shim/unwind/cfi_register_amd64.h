/* For cfi_register.h. */
#ifndef CGOHEAP_CFI_REGISTER_AMD64_H
#define CGOHEAP_CFI_REGISTER_AMD64_H

#define CFI_RETURN_ADDRESS 16

/* The callee-saved ones, in the order of struct regs from bp on, and rsp. */
enum cfi_register {
	CFI_BP,
	CFI_BX,
	CFI_R12,
	CFI_R13,
	CFI_R14,
	CFI_R15,
	CFI_SAVED,
	CFI_SP = CFI_SAVED,
	CFI_REGISTERS,
	CFI_NONE = CFI_REGISTERS
};

static_assert(offsetof(struct regs, r15) == offsetof(struct regs, bp) + CFI_R15 * 8, "in order");

/* enum cfi_register; CFI_NONE: not preserved across calls. */
static inline uint8_t cfi_register_of_dwarf(uint64_t number)
{
	switch (number) {
	case 3:
		return CFI_BX;
	case 6:
		return CFI_BP;
	case 7:
		return CFI_SP;
	case 12:
	case 13:
	case 14:
	case 15:
		return (uint8_t)(CFI_R12 + (number - 12));
	default:
		return CFI_NONE;
	}
}

#endif
