/* See cfi_rules.h: interprets an FDE's instructions. */
#include "unwind/cfi_rules.h"

#include "unwind/cfi_entry.h"

#define MAX_REMEMBERED 4

/* DWARF 5 table 7.29, and the GNU additions. */
enum {
	DW_CFA_advance_loc = 0x40, /* high two bits, delta in the low six */
	DW_CFA_offset = 0x80,
	DW_CFA_restore = 0xc0,
	DW_CFA_nop = 0x00,
	DW_CFA_set_loc = 0x01,
	DW_CFA_advance_loc1 = 0x02,
	DW_CFA_advance_loc2 = 0x03,
	DW_CFA_advance_loc4 = 0x04,
	DW_CFA_offset_extended = 0x05,
	DW_CFA_restore_extended = 0x06,
	DW_CFA_undefined = 0x07,
	DW_CFA_same_value = 0x08,
	DW_CFA_register = 0x09,
	DW_CFA_remember_state = 0x0a,
	DW_CFA_restore_state = 0x0b,
	DW_CFA_def_cfa = 0x0c,
	DW_CFA_def_cfa_register = 0x0d,
	DW_CFA_def_cfa_offset = 0x0e,
	DW_CFA_def_cfa_expression = 0x0f,
	DW_CFA_expression = 0x10,
	DW_CFA_offset_extended_sf = 0x11,
	DW_CFA_def_cfa_sf = 0x12,
	DW_CFA_def_cfa_offset_sf = 0x13,
	DW_CFA_val_offset = 0x14,
	DW_CFA_val_offset_sf = 0x15,
	DW_CFA_val_expression = 0x16,
	DW_CFA_AARCH64_negate_ra_state_with_pc = 0x2c,
	DW_CFA_AARCH64_negate_ra_state = 0x2d,
	DW_CFA_GNU_args_size = 0x2e,
	DW_CFA_GNU_negative_offset_extended = 0x2f,
};

struct machine {
	const struct cfi_cie *cie;
	struct cfi_rules now, initial;
	struct cfi_rules remembered[MAX_REMEMBERED];
	unsigned depth;
	uint64_t location, pc;
	bool bad;
};

/* Overflow wraps around: a wrong row, which is checked against the stack like any other. */
static int64_t factored(uint64_t n, const struct cfi_cie *cie)
{
	return (int64_t)(n * (uint64_t)cie->data_align);
}

static struct cfi_rule *rule_of(struct cfi_rules *rules, uint64_t number)
{
	uint8_t r = cfi_register_of_dwarf(number);

	if (number == CFI_RETURN_ADDRESS)
		return &rules->return_address;
	return r == CFI_NONE ? NULL : &rules->registers[r];
}

static void set_rule(struct machine *m, uint64_t number, enum cfi_rule_kind kind, int64_t offset)
{
	struct cfi_rule *rule = rule_of(&m->now, number);

	if (rule) {
		rule->kind = kind;
		rule->offset = offset;
	}
}

/* Sets the rule to the expression that follows. */
static void set_expression(struct machine *m, uint64_t number, enum cfi_rule_kind kind,
			   struct dwarfbytes *b)
{
	struct cfi_rule *rule = rule_of(&m->now, number);
	struct dwarfbytes block = dwarfbytes_block(b);

	if (rule)
		*rule = (struct cfi_rule){.kind = kind, .block = block};
}

static void restore_rule(struct machine *m, uint64_t number)
{
	struct cfi_rule *rule = rule_of(&m->now, number);

	if (rule)
		*rule = *rule_of(&m->initial, number);
}

static void set_cfa(struct machine *m, uint64_t number, int64_t offset)
{
	m->now.cfa_register = cfi_register_of_dwarf(number);
	m->now.cfa_kind = m->now.cfa_register == CFI_NONE ? CFA_UNKNOWN : CFA_REGISTER;
	m->now.cfa_offset = offset;
}

static void remember(struct machine *m)
{
	if (m->depth == MAX_REMEMBERED)
		m->bad = true;
	else
		m->remembered[m->depth++] = m->now;
}

static void recall(struct machine *m)
{
	if (m->depth == 0)
		m->bad = true;
	else
		m->now = m->remembered[--m->depth];
}

/* Runs an instruction that sets a register's rule; false: op is not one. */
static bool run_rule(struct machine *m, struct dwarfbytes *b, uint8_t op)
{
	const struct cfi_cie *cie = m->cie;
	uint64_t number = dwarfbytes_uleb(b);

	switch (op) {
	case DW_CFA_offset_extended:
		set_rule(m, number, RULE_OFFSET, factored(dwarfbytes_uleb(b), cie));
		return true;
	case DW_CFA_offset_extended_sf:
		set_rule(m, number, RULE_OFFSET, factored((uint64_t)dwarfbytes_sleb(b), cie));
		return true;
	case DW_CFA_GNU_negative_offset_extended:
		set_rule(m, number, RULE_OFFSET, factored(-dwarfbytes_uleb(b), cie));
		return true;
	case DW_CFA_restore_extended:
		restore_rule(m, number);
		return true;
	case DW_CFA_undefined:
		set_rule(m, number, RULE_UNDEFINED, 0);
		return true;
	case DW_CFA_same_value:
		set_rule(m, number, RULE_SAME, 0);
		return true;
	case DW_CFA_register:
		set_rule(m, number, RULE_REGISTER, (int64_t)dwarfbytes_uleb(b));
		return true;
	case DW_CFA_val_offset:
		set_rule(m, number, RULE_VALUE_OFFSET, factored(dwarfbytes_uleb(b), cie));
		return true;
	case DW_CFA_val_offset_sf:
		set_rule(m, number, RULE_VALUE_OFFSET, factored((uint64_t)dwarfbytes_sleb(b), cie));
		return true;
	case DW_CFA_expression:
		set_expression(m, number, RULE_EXPRESSION, b);
		return true;
	case DW_CFA_val_expression:
		set_expression(m, number, RULE_VALUE_EXPRESSION, b);
		return true;
	default:
		return false;
	}
}

/* Runs all other instructions. */
static void run_other(struct machine *m, struct dwarfbytes *b, uint8_t op)
{
	switch (op) {
	case DW_CFA_nop:
	case DW_CFA_AARCH64_negate_ra_state: /* arch_return_address knows a signed one */
	case DW_CFA_AARCH64_negate_ra_state_with_pc:
		return;
	case DW_CFA_remember_state:
		remember(m);
		return;
	case DW_CFA_restore_state:
		recall(m);
		return;
	case DW_CFA_GNU_args_size:
		(void)dwarfbytes_uleb(b);
		return;
	default:
		if (!run_rule(m, b, op))
			m->bad = true;
	}
}

static void run_cfa(struct machine *m, struct dwarfbytes *b, uint8_t op)
{
	uint64_t number;

	switch (op) {
	case DW_CFA_def_cfa:
		number = dwarfbytes_uleb(b);
		set_cfa(m, number, (int64_t)dwarfbytes_uleb(b));
		return;
	case DW_CFA_def_cfa_sf:
		number = dwarfbytes_uleb(b);
		set_cfa(m, number, factored((uint64_t)dwarfbytes_sleb(b), m->cie));
		return;
	case DW_CFA_def_cfa_register:
		set_cfa(m, dwarfbytes_uleb(b), m->now.cfa_offset);
		return;
	case DW_CFA_def_cfa_offset:
		m->now.cfa_offset = (int64_t)dwarfbytes_uleb(b);
		return;
	case DW_CFA_def_cfa_offset_sf:
		m->now.cfa_offset = factored((uint64_t)dwarfbytes_sleb(b), m->cie);
		return;
	case DW_CFA_def_cfa_expression:
		m->now.cfa_kind = CFA_EXPRESSION;
		m->now.cfa_expression = dwarfbytes_block(b);
		return;
	default:
		run_other(m, b, op);
	}
}

/* Whether op moves the location; *target is where to. */
static bool run_advance(struct machine *m, struct dwarfbytes *b, uint8_t op, uint64_t *target)
{
	uint64_t delta;

	switch (op) {
	case DW_CFA_set_loc:
		*target = dwarfbytes_encoded(b, m->cie->pointer_encoding);
		return true;
	case DW_CFA_advance_loc1:
		delta = dwarfbytes_fixed(b, 1);
		break;
	case DW_CFA_advance_loc2:
		delta = dwarfbytes_fixed(b, 2);
		break;
	case DW_CFA_advance_loc4:
		delta = dwarfbytes_fixed(b, 4);
		break;
	default:
		if ((op & 0xc0) != DW_CFA_advance_loc)
			return false;
		delta = op & 0x3f;
	}
	*target = m->location + delta * m->cie->code_align;
	return true;
}

/* Runs until the location passes pc; the rules then apply at pc. */
static void run(struct machine *m, struct dwarfbytes b)
{
	while (b.at < b.end && !b.bad && !m->bad) {
		uint8_t op = (uint8_t)dwarfbytes_fixed(&b, 1);
		uint64_t target;

		if (run_advance(m, &b, op, &target)) {
			if (target > m->pc)
				return;
			m->location = target;
		} else if ((op & 0xc0) == DW_CFA_offset) {
			set_rule(m, op & 0x3f, RULE_OFFSET, factored(dwarfbytes_uleb(&b), m->cie));
		} else if ((op & 0xc0) == DW_CFA_restore) {
			restore_rule(m, op & 0x3f);
		} else {
			run_cfa(m, &b, op);
		}
	}
	m->bad |= b.bad;
}

int cfi_rules_at(const struct fde_module *module, uint64_t address, uint64_t pc,
		 struct cfi_rules *rules)
{
	struct cfi_fde fde;
	struct machine m;

	m.depth = 0;
	m.bad = false;
	m.pc = pc;
	m.cie = &fde.cie;
	m.now = (struct cfi_rules){.cfa_kind = CFA_UNKNOWN};
	m.now.return_address.kind = RULE_SAME;
	m.initial = m.now;
	if (cfi_entry_open(module, address, &fde) || fde.start > pc)
		return -1;
	m.location = fde.start;
	/* A CIE's instructions apply from the start: they never advance. */
	run(&m, fde.cie.instructions);
	m.initial = m.now;
	run(&m, fde.instructions);
	*rules = m.now;
	rules->is_signal = fde.cie.is_signal;
	return m.bad ? -1 : 0;
}
