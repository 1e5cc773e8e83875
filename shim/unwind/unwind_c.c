/* See unwind_c.h. */
#include "unwind/unwind_c.h"

#include "unwind/cfi.h"
#include "unwind/codetables.h"
#include "unwind/signalframe.h"

#define MAX_FRAME_BYTES ((uint64_t)64 << 20) /* of one C frame; more is a broken chain */

/* Few frames depend on registers other than rbp, so one that cannot be read does not end the walk.
 */
static int step_by_row(struct saferead *memory, uint64_t packed, struct regs *regs)
{
	struct regs caller = *regs;
	struct cfi_row row;

	/* The table is in the region, which a wild write of the host may have damaged. */
	if (row_unpack(packed, &row))
		return CAPTURE_BAD_CFI;
	uint64_t cfa = *cfi_register_in(regs, row.cfa_register) + (uint64_t)row.cfa_offset;
	if (cfa <= regs->sp || cfa - regs->sp > MAX_FRAME_BYTES)
		return CAPTURE_BAD_STACK;
	caller.sp = cfa;
	if (!saferead_read(memory, cfa + (uint64_t)(8 * row.return_address), &caller.ip))
		return CAPTURE_BAD_STACK;
	caller.ip = arch_return_address(caller.ip);
	arch_forget_link(&caller);
	for (unsigned r = 0; r < CFI_SAVED; r++)
		if (row.saved[r] != CFI_SAME &&
		    !saferead_read(memory, cfa + (uint64_t)(8 * (int64_t)row.saved[r]),
				   &caller.bp + r) &&
		    r == CFI_BP)
			return CAPTURE_BAD_STACK;
	*regs = caller;
	return 0;
}

static int step_over_signal(struct saferead *memory, struct regs *regs)
{
	struct regs interrupted;

	if (signalframe_read(memory, regs->sp, &interrupted))
		return CAPTURE_BAD_STACK;
	*regs = interrupted;
	saferead_go_on_at(memory, interrupted.sp);
	return 0;
}

static int step_in_module(struct saferead *memory, const struct code_module *m, uint64_t pc,
			  struct regs *regs, bool *exact)
{
	struct fde_module tables;
	struct regs caller = *regs;
	bool failed;
	uint64_t fde = codetables_fde(m, pc, &tables, &failed);

	if (!fde)
		return failed ? CAPTURE_BAD_CFI : CAPTURE_NO_CFI;
	switch (cfi_step(&tables, fde, pc, memory, &caller, exact)) {
	case CFI_ROW:
		break;
	case CFI_ROOT:
		caller.ip = 0; /* ends the walk */
		break;
	default:
		return CAPTURE_BAD_STACK;
	}
	/* Code that was interrupted may have no frame yet, or no longer. */
	if (caller.ip && ((caller.sp <= regs->sp && !arch_link(regs)) || caller.sp < regs->sp ||
			  caller.sp - regs->sp > MAX_FRAME_BYTES))
		return CAPTURE_BAD_STACK;
	*regs = caller;
	return 0;
}

static int step_by_rules(struct saferead *memory, uint64_t pc, struct regs *regs, bool *exact)
{
	struct code_module m;
	int result = CAPTURE_NO_CFI;

	if (codetables_begin_reading())
		return CAPTURE_UNWINDER;
	if (codetables_module(pc, &m))
		result = step_in_module(memory, &m, pc, regs, exact);
	codetables_end_reading();
	return result;
}

int unwind_c_step(struct saferead *memory, const struct pcinfo *info, struct regs *regs,
		  bool *exact)
{
	*exact = false;
	switch (info->kind) {
	case PCINFO_C:
		return step_by_row(memory, info->row, regs);
	case PCINFO_C_SIGNAL:
		*exact = true;
		return step_over_signal(memory, regs);
	case PCINFO_C_COMPLEX:
		return step_by_rules(memory, info->pc, regs, exact);
	case PCINFO_C_BAD_CFI:
		return CAPTURE_BAD_CFI;
	case PCINFO_UNKNOWN:
		return CAPTURE_UNWINDER;
	default:
		return CAPTURE_NO_CFI;
	}
}
