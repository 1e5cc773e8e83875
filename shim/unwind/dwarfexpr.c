/* See dwarfexpr.h. */
#include "unwind/dwarfexpr.h"

#include "unwind/cfi_rules.h"

#define MAX_DEPTH 16

enum {
	DW_OP_deref = 0x06,
	DW_OP_const1u = 0x08,
	DW_OP_const1s = 0x09,
	DW_OP_const2u = 0x0a,
	DW_OP_const2s = 0x0b,
	DW_OP_const4u = 0x0c,
	DW_OP_const4s = 0x0d,
	DW_OP_const8u = 0x0e,
	DW_OP_const8s = 0x0f,
	DW_OP_constu = 0x10,
	DW_OP_consts = 0x11,
	DW_OP_dup = 0x12,
	DW_OP_drop = 0x13,
	DW_OP_over = 0x14,
	DW_OP_swap = 0x16,
	DW_OP_and = 0x1a,
	DW_OP_minus = 0x1c,
	DW_OP_mul = 0x1e,
	DW_OP_neg = 0x1f,
	DW_OP_not = 0x20,
	DW_OP_or = 0x21,
	DW_OP_plus = 0x22,
	DW_OP_plus_uconst = 0x23,
	DW_OP_shl = 0x24,
	DW_OP_shr = 0x25,
	DW_OP_shra = 0x26,
	DW_OP_xor = 0x27,
	DW_OP_eq = 0x29,
	DW_OP_ge = 0x2a,
	DW_OP_gt = 0x2b,
	DW_OP_le = 0x2c,
	DW_OP_lt = 0x2d,
	DW_OP_ne = 0x2e,
	DW_OP_lit0 = 0x30,
	DW_OP_lit31 = 0x4f,
	DW_OP_breg0 = 0x70,
	DW_OP_breg31 = 0x8f,
	DW_OP_nop = 0x96,
};

struct stack {
	uint64_t words[MAX_DEPTH];
	unsigned depth;
	bool bad;
};

static void push(struct stack *s, uint64_t word)
{
	if (s->depth == MAX_DEPTH)
		s->bad = true;
	else
		s->words[s->depth++] = word;
}

static uint64_t pop(struct stack *s)
{
	if (s->depth == 0) {
		s->bad = true;
		return 0;
	}
	return s->words[--s->depth];
}

bool dwarfexpr_register(const struct regs *regs, uint64_t number, uint64_t *value)
{
	struct regs copy = *regs;
	uint8_t r = cfi_register_of_dwarf(number);

	if (number == CFI_RETURN_ADDRESS)
		*value = regs->ip;
	else if (r != CFI_NONE)
		*value = *cfi_register_in(&copy, r);
	return number == CFI_RETURN_ADDRESS || r != CFI_NONE;
}

static void push_register(struct stack *s, const struct regs *regs, uint64_t number, int64_t offset)
{
	uint64_t value = 0;

	s->bad |= !dwarfexpr_register(regs, number, &value);
	push(s, value + (uint64_t)offset);
}

static void push_word_at(struct stack *s, struct saferead *memory, uint64_t address)
{
	uint64_t word = 0;

	if (!s->bad && !saferead_read(memory, address, &word))
		s->bad = true;
	push(s, word);
}

/* A sign-extended constant of n bytes. */
static uint64_t read_signed(struct dwarfbytes *b, size_t n)
{
	unsigned unused = 64 - 8 * (unsigned)n;

	return (uint64_t)((int64_t)(dwarfbytes_fixed(b, n) << unused) >> unused);
}

/* False: op is not a constant. */
static bool run_constant(struct stack *s, struct dwarfbytes *b, uint8_t op)
{
	if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
		push(s, op - DW_OP_lit0);
	else if (op >= DW_OP_const1u && op <= DW_OP_const8s && !(op & 1))
		push(s, dwarfbytes_fixed(b, (size_t)1 << (op - DW_OP_const1u) / 2));
	else if (op >= DW_OP_const1u && op <= DW_OP_const8s)
		push(s, read_signed(b, (size_t)1 << (op - DW_OP_const1u) / 2));
	else if (op == DW_OP_constu)
		push(s, dwarfbytes_uleb(b));
	else if (op == DW_OP_consts)
		push(s, (uint64_t)dwarfbytes_sleb(b));
	else
		return false;
	return true;
}

static bool run_stack(struct stack *s, uint8_t op)
{
	uint64_t top;

	switch (op) {
	case DW_OP_nop:
		return true;
	case DW_OP_dup:
		top = pop(s);
		push(s, top);
		push(s, top);
		return true;
	case DW_OP_drop:
		(void)pop(s);
		return true;
	case DW_OP_over:
		s->bad |= s->depth < 2;
		push(s, s->bad ? 0 : s->words[s->depth - 2]);
		return true;
	case DW_OP_swap:
		s->bad |= s->depth < 2;
		if (!s->bad) {
			top = s->words[s->depth - 1];
			s->words[s->depth - 1] = s->words[s->depth - 2];
			s->words[s->depth - 2] = top;
		}
		return true;
	case DW_OP_neg:
		push(s, -pop(s));
		return true;
	case DW_OP_not:
		push(s, ~pop(s));
		return true;
	default:
		return false;
	}
}

static uint64_t shift_left(uint64_t a, uint64_t by)
{
	return by < 64 ? a << by : 0;
}

static uint64_t shift_right(uint64_t a, uint64_t by)
{
	return by < 64 ? a >> by : 0;
}

/* Comparisons are signed. */
static bool compute(uint8_t op, uint64_t a, uint64_t b, uint64_t *out)
{
	int64_t x = (int64_t)a, y = (int64_t)b;

	switch (op) {
	case DW_OP_and:
		return *out = a & b, true;
	case DW_OP_or:
		return *out = a | b, true;
	case DW_OP_xor:
		return *out = a ^ b, true;
	case DW_OP_plus:
		return *out = a + b, true;
	case DW_OP_minus:
		return *out = a - b, true;
	case DW_OP_mul:
		return *out = a * b, true;
	case DW_OP_shl:
		return *out = shift_left(a, b), true;
	case DW_OP_shr:
		return *out = shift_right(a, b), true;
	case DW_OP_shra:
		return *out = (uint64_t)(x >> (b < 63 ? b : 63)), true;
	case DW_OP_eq:
		return *out = x == y, true;
	case DW_OP_ge:
		return *out = x >= y, true;
	case DW_OP_gt:
		return *out = x > y, true;
	case DW_OP_le:
		return *out = x <= y, true;
	case DW_OP_lt:
		return *out = x < y, true;
	case DW_OP_ne:
		return *out = x != y, true;
	default:
		return false;
	}
}

static void run_pair(struct stack *s, uint8_t op)
{
	uint64_t b = pop(s), a = pop(s), result = 0;

	s->bad |= !compute(op, a, b, &result);
	push(s, result);
}

static void run_one(struct stack *s, struct dwarfbytes *b, struct saferead *memory,
		    const struct regs *regs)
{
	uint8_t op = (uint8_t)dwarfbytes_fixed(b, 1);

	if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
		push_register(s, regs, op - DW_OP_breg0, dwarfbytes_sleb(b));
	else if (op == DW_OP_deref)
		push_word_at(s, memory, pop(s));
	else if (op == DW_OP_plus_uconst)
		push(s, pop(s) + dwarfbytes_uleb(b));
	else if (!run_constant(s, b, op) && !run_stack(s, op))
		run_pair(s, op);
}

int dwarfexpr_run(struct dwarfbytes program, struct saferead *memory, const struct regs *regs,
		  const uint64_t *first, uint64_t *result)
{
	struct stack s;

	s.depth = 0;
	s.bad = false;
	if (first)
		push(&s, *first);
	while (program.at < program.end && !program.bad && !s.bad)
		run_one(&s, &program, memory, regs);
	*result = pop(&s);
	return s.bad || program.bad ? -1 : 0;
}
