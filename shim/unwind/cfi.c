/* See cfi.h. */
#include "unwind/cfi.h"

#include <string.h>

#include "unwind/cfi_rules.h"

#define MAX_ENTRY_BYTES ((uint64_t)1 << 20) /* no sane CIE or FDE is longer */
#define MAX_REMEMBERED  4
#define RETURN_ADDRESS  16 /* its column on amd64 */

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
	DW_CFA_GNU_args_size = 0x2e,
	DW_CFA_GNU_negative_offset_extended = 0x2f,
};

/* A damaged table may point anywhere. */
static bool is_in(const struct fde_module *module, uint64_t address, uint64_t bytes)
{
	return address >= module->start && address < module->end && bytes <= module->end - address;
}

/* The body of a CIE or FDE whose length field is at address. */
static bool open_entry(const struct fde_module *module, uint64_t address, struct dwarfbytes *out)
{
	uint32_t length32;
	uint64_t length;

	if (!is_in(module, address, 12))
		return false;
	memcpy(&length32, (const void *)address, sizeof length32);
	address += 4;
	length = length32;
	if (length32 == UINT32_MAX) {
		memcpy(&length, (const void *)address, sizeof length);
		address += 8;
	}
	if (length == 0 || length > MAX_ENTRY_BYTES || !is_in(module, address, length))
		return false;
	*out = (struct dwarfbytes){.at = (const uint8_t *)address,
				   .end = (const uint8_t *)address + length};
	return true;
}

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint8_t pointer_encoding;
	bool is_signal;
	bool has_augmentation_length;
	struct dwarfbytes instructions;
};

static void parse_augmentation(struct dwarfbytes *b, const char *augmentation, struct cie *cie)
{
	struct dwarfbytes data;
	uint64_t length = dwarfbytes_uleb(b);

	if (b->bad || length > (uint64_t)(b->end - b->at)) {
		b->bad = true;
		return;
	}
	data = (struct dwarfbytes){.at = b->at, .end = b->at + length};
	b->at += length;
	for (const char *c = augmentation + 1; *c && !data.bad; c++) {
		uint8_t encoding;
		switch (*c) {
		case 'R':
			cie->pointer_encoding = (uint8_t)dwarfbytes_fixed(&data, 1);
			break;
		case 'L':
			(void)dwarfbytes_fixed(&data, 1);
			break;
		case 'P':
			encoding = (uint8_t)dwarfbytes_fixed(&data, 1);
			(void)dwarfbytes_encoded(&data, encoding & 0x7f);
			break;
		case 'S':
			cie->is_signal = true;
			break;
		default:
			return; /* what follows is unknown, but its length is not */
		}
	}
	b->bad |= data.bad;
}

static bool parse_cie(const struct fde_module *module, uint64_t address, struct cie *cie)
{
	struct dwarfbytes b;
	const char *augmentation;
	uint8_t version;

	*cie = (struct cie){.pointer_encoding = DW_EH_PE_absptr};
	if (!open_entry(module, address, &b) || dwarfbytes_fixed(&b, 4) != 0)
		return false;
	version = (uint8_t)dwarfbytes_fixed(&b, 1);
	if (version != 1 && version != 3)
		return false;
	augmentation = (const char *)b.at;
	while (dwarfbytes_fixed(&b, 1) != 0)
		continue;
	cie->code_align = dwarfbytes_uleb(&b);
	cie->data_align = dwarfbytes_sleb(&b);
	if ((version == 1 ? dwarfbytes_fixed(&b, 1) : dwarfbytes_uleb(&b)) != RETURN_ADDRESS ||
	    b.bad)
		return false;
	if (augmentation[0] == 'z') {
		cie->has_augmentation_length = true;
		parse_augmentation(&b, augmentation, cie);
	} else if (augmentation[0] != '\0') {
		return false;
	}
	cie->instructions = b;
	return !b.bad;
}

struct machine {
	const struct cie *cie;
	struct cfi_rules now, initial;
	struct cfi_rules remembered[MAX_REMEMBERED];
	unsigned depth;
	uint64_t location, pc;
	bool bad;
};

/* What does not fit wraps around: a wrong row, checked against the stack as all are. */
static int64_t factored(uint64_t n, const struct cie *cie)
{
	return (int64_t)(n * (uint64_t)cie->data_align);
}

uint8_t cfi_register_of_dwarf(uint64_t number)
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

static struct cfi_rule *rule_of(struct cfi_rules *rules, uint64_t number)
{
	uint8_t r = cfi_register_of_dwarf(number);

	if (number == RETURN_ADDRESS)
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

/* The expression that follows. */
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

/* The instructions that only change rules. */
static void run_rule(struct machine *m, struct dwarfbytes *b, uint8_t op)
{
	const struct cie *cie = m->cie;
	uint64_t number;

	switch (op) {
	case DW_CFA_nop:
		return;
	case DW_CFA_offset_extended:
		number = dwarfbytes_uleb(b);
		set_rule(m, number, RULE_OFFSET, factored(dwarfbytes_uleb(b), cie));
		return;
	case DW_CFA_offset_extended_sf:
		number = dwarfbytes_uleb(b);
		set_rule(m, number, RULE_OFFSET, factored((uint64_t)dwarfbytes_sleb(b), cie));
		return;
	case DW_CFA_GNU_negative_offset_extended:
		number = dwarfbytes_uleb(b);
		set_rule(m, number, RULE_OFFSET, factored(-dwarfbytes_uleb(b), cie));
		return;
	case DW_CFA_restore_extended:
		restore_rule(m, dwarfbytes_uleb(b));
		return;
	case DW_CFA_undefined:
		set_rule(m, dwarfbytes_uleb(b), RULE_UNDEFINED, 0);
		return;
	case DW_CFA_same_value:
		set_rule(m, dwarfbytes_uleb(b), RULE_SAME, 0);
		return;
	case DW_CFA_register:
		number = dwarfbytes_uleb(b);
		set_rule(m, number, RULE_REGISTER, (int64_t)dwarfbytes_uleb(b));
		return;
	case DW_CFA_val_offset:
		number = dwarfbytes_uleb(b);
		set_rule(m, number, RULE_VALUE_OFFSET, factored(dwarfbytes_uleb(b), cie));
		return;
	case DW_CFA_val_offset_sf:
		number = dwarfbytes_uleb(b);
		set_rule(m, number, RULE_VALUE_OFFSET, factored((uint64_t)dwarfbytes_sleb(b), cie));
		return;
	case DW_CFA_expression:
		number = dwarfbytes_uleb(b);
		set_expression(m, number, RULE_EXPRESSION, b);
		return;
	case DW_CFA_val_expression:
		number = dwarfbytes_uleb(b);
		set_expression(m, number, RULE_VALUE_EXPRESSION, b);
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
		run_rule(m, b, op);
	}
}

/* Whether op moved the location; *delta by how much. */
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

/* Runs until the location passes pc: what holds then holds at pc. */
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

/* A slot `offset` bytes from the CFA as a row says it; false where it cannot. */
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

struct fde {
	struct cie cie;
	uint64_t start, bytes; /* of the code */
};

/* Opens the FDE and its CIE; *b is left at the FDE's instructions. */
static bool parse_fde(const struct fde_module *module, uint64_t address, struct fde *fde,
		      struct dwarfbytes *b)
{
	uint64_t cie_pointer_at, cie_distance;

	if (!open_entry(module, address, b))
		return false;
	cie_pointer_at = (uint64_t)b->at;
	cie_distance = dwarfbytes_fixed(b, 4);
	if (cie_distance == 0 || !parse_cie(module, cie_pointer_at - cie_distance, &fde->cie))
		return false;
	fde->start = dwarfbytes_encoded(b, fde->cie.pointer_encoding);
	fde->bytes = dwarfbytes_encoded(b, fde->cie.pointer_encoding & 0x0f);
	if (fde->cie.has_augmentation_length)
		dwarfbytes_skip_block(b);
	return !b->bad;
}

int cfi_covers(const struct fde_module *module, uint64_t fde, uint64_t pc)
{
	struct fde parsed;
	struct dwarfbytes b;

	if (!parse_fde(module, fde, &parsed, &b))
		return -1;
	return pc - parsed.start < parsed.bytes;
}

bool cfi_rules_at(const struct fde_module *module, uint64_t fde, uint64_t pc,
		  struct cfi_rules *rules)
{
	struct fde parsed;
	struct dwarfbytes b;
	struct machine m;

	m.depth = 0;
	m.bad = false;
	m.pc = pc;
	m.cie = &parsed.cie;
	m.now = (struct cfi_rules){.cfa_kind = CFA_UNKNOWN};
	m.now.return_address.kind = RULE_SAME;
	m.initial = m.now;
	if (!parse_fde(module, fde, &parsed, &b) || parsed.start > pc)
		return false;
	m.location = parsed.start;
	/* A CIE's instructions hold from the start on: nothing there advances. */
	run(&m, parsed.cie.instructions);
	m.initial = m.now;
	run(&m, b);
	*rules = m.now;
	rules->is_signal = parsed.cie.is_signal;
	return !m.bad;
}

enum cfi_result cfi_compile(const struct fde_module *module, uint64_t fde, uint64_t pc,
			    struct cfi_row *row)
{
	struct cfi_rules rules;

	if (!cfi_rules_at(module, fde, pc, &rules))
		return CFI_BAD;
	return rules.is_signal ? CFI_SIGNAL : row_of_rules(&rules, row);
}
