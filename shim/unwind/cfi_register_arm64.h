/* For cfi_register.h. */
#ifndef CGOHEAP_CFI_REGISTER_ARM64_H
#define CGOHEAP_CFI_REGISTER_ARM64_H

#define CFI_RETURN_ADDRESS 30

/* The callee-saved ones, in the order of struct regs from bp (x29) on, and sp. */
enum cfi_register {
	CFI_BP,
	CFI_X19,
	CFI_X28 = CFI_X19 + 9,
	CFI_SAVED,
	CFI_SP = CFI_SAVED,
	CFI_REGISTERS,
	CFI_NONE = CFI_REGISTERS
};

static_assert(offsetof(struct regs, x28) == offsetof(struct regs, bp) + CFI_X28 * 8, "in order");

/* enum cfi_register; CFI_NONE: not preserved across calls. */
static inline uint8_t cfi_register_of_dwarf(uint64_t number)
{
	if (number >= 19 && number <= 28)
		return (uint8_t)(CFI_X19 + (number - 19));
	if (number == 29)
		return CFI_BP;
	return number == 31 ? CFI_SP : CFI_NONE;
}

#endif
