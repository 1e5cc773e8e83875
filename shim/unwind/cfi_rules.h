/*
 * An FDE's rules at one pc: one per register.  cfi.c turns them into a row, cfi_step.c
 * follows them.
 */
#ifndef CGOHEAP_CFI_RULES_H
#define CGOHEAP_CFI_RULES_H

#include "unwind/cfi_register.h"
#include "unwind/dwarfbytes.h"
#include "unwind/fde.h"

enum cfi_rule_kind {
	RULE_SAME,
	RULE_UNDEFINED,
	RULE_OFFSET,           /* saved at CFA + offset */
	RULE_VALUE_OFFSET,     /* equals CFA + offset */
	RULE_REGISTER,         /* in the register with DWARF number offset */
	RULE_EXPRESSION,       /* saved at the address that block computes, with CFA on its stack */
	RULE_VALUE_EXPRESSION, /* equals what block computes */
};

struct cfi_rule {
	enum cfi_rule_kind kind;
	union {
		int64_t offset;
		struct dwarfbytes block;
	};
};

struct cfi_rules {
	struct cfi_rule registers[CFI_REGISTERS];
	struct cfi_rule return_address;
	enum { CFA_UNKNOWN, CFA_REGISTER, CFA_EXPRESSION } cfa_kind;
	uint8_t cfa_register;
	bool is_signal;
	int64_t cfa_offset;
	struct dwarfbytes cfa_expression;
};

/* The rules in force at pc; -1: undecodable. */
int cfi_rules_at(const struct fde_module *module, uint64_t fde, uint64_t pc,
		 struct cfi_rules *rules);

#endif
