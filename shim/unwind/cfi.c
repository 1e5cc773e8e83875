/* See cfi.h. */
#include "unwind/cfi.h"

#include "unwind/cfi_rules.h"

/* Converts a slot `offset` bytes from the CFA to a row's units; false: not representable. */
static bool row_slot(int64_t offset, int16_t *slot)
{
	if (offset % 8 != 0 || offset / 8 <= INT16_MIN || offset / 8 > INT16_MAX)
		return false;
	*slot = (int16_t)(offset / 8);
	return true;
}

static enum cfi_result row_of_rules(const struct cfi_rules *rules, struct cfi_row *row)
{
	if (rules->return_address.kind == RULE_UNDEFINED)
		return CFI_ROOT;
	if (rules->cfa_kind != CFA_REGISTER || rules->return_address.kind != RULE_OFFSET ||
	    rules->registers[CFI_SP].kind != RULE_SAME || rules->cfa_offset < INT32_MIN ||
	    rules->cfa_offset > INT32_MAX ||
	    !row_slot(rules->return_address.offset, &row->return_address))
		return CFI_COMPLEX;
	row->cfa_register = rules->cfa_register;
	row->cfa_offset = (int32_t)rules->cfa_offset;
	for (int r = 0; r < CFI_SAVED; r++) {
		const struct cfi_rule *rule = &rules->registers[r];
		row->saved[r] = CFI_SAME;
		if (rule->kind == RULE_SAME || rule->kind == RULE_UNDEFINED)
			continue;
		if (rule->kind != RULE_OFFSET || !row_slot(rule->offset, &row->saved[r]))
			return CFI_COMPLEX;
	}
	return CFI_ROW;
}

enum cfi_result cfi_compile(const struct fde_module *module, uint64_t fde, uint64_t pc,
			    struct cfi_row *row)
{
	struct cfi_rules rules;

	if (cfi_rules_at(module, fde, pc, &rules))
		return CFI_BAD;
	return rules.is_signal ? CFI_SIGNAL : row_of_rules(&rules, row);
}
