/* cfi_step of cfi.h: frames that a row cannot express. */
#include "unwind/cfi.h"
#include "unwind/cfi_rules.h"
#include "unwind/dwarfexpr.h"

struct frame {
	struct saferead *memory;
	const struct regs *regs;
	uint64_t cfa;
};

static bool find_cfa(const struct cfi_rules *rules, struct frame *f)
{
	struct regs regs = *f->regs;

	switch (rules->cfa_kind) {
	case CFA_REGISTER:
		f->cfa = *cfi_register_in(&regs, rules->cfa_register) + (uint64_t)rules->cfa_offset;
		return true;
	case CFA_EXPRESSION:
		return dwarfexpr_run(rules->cfa_expression, f->memory, f->regs, NULL, &f->cfa) == 0;
	default:
		return false;
	}
}

/* Changes *value from the callee's to the caller's. */
static bool follow(const struct frame *f, const struct cfi_rule *rule, uint64_t *value)
{
	uint64_t at;

	switch (rule->kind) {
	case RULE_SAME:
	case RULE_UNDEFINED:
		return true;
	case RULE_OFFSET:
		return saferead_read(f->memory, f->cfa + (uint64_t)rule->offset, value);
	case RULE_VALUE_OFFSET:
		*value = f->cfa + (uint64_t)rule->offset;
		return true;
	case RULE_REGISTER:
		return dwarfexpr_register(f->regs, (uint64_t)rule->offset, value);
	case RULE_EXPRESSION:
		return dwarfexpr_run(rule->block, f->memory, f->regs, &f->cfa, &at) == 0 &&
		       saferead_read(f->memory, at, value);
	case RULE_VALUE_EXPRESSION:
		return dwarfexpr_run(rule->block, f->memory, f->regs, &f->cfa, value) == 0;
	}
	return false;
}

enum cfi_result cfi_step(const struct fde_module *module, uint64_t fde, uint64_t pc,
			 struct saferead *memory, struct regs *regs, bool *is_signal)
{
	struct regs caller = *regs;
	struct frame f = {.memory = memory, .regs = regs};
	struct cfi_rules rules;

	if (cfi_rules_at(module, fde, pc, &rules))
		return CFI_BAD;
	if (rules.return_address.kind == RULE_UNDEFINED)
		return CFI_ROOT;
	caller.ip = arch_link(regs);
	if ((rules.return_address.kind == RULE_SAME && !caller.ip) || !find_cfa(&rules, &f))
		return CFI_BAD;
	caller.sp = f.cfa;
	for (unsigned r = 0; r < CFI_REGISTERS; r++)
		if (!follow(&f, &rules.registers[r], cfi_register_in(&caller, r)))
			return CFI_BAD;
	if (!follow(&f, &rules.return_address, &caller.ip))
		return CFI_BAD;
	caller.ip = arch_return_address(caller.ip);
	arch_forget_link(&caller);
	*regs = caller;
	*is_signal = rules.is_signal;
	return CFI_ROW;
}
