/* See goframes.h. */
#include "unwind/goframes.h"

static bool are_saved(struct saferead *memory, uint64_t b, struct regs *regs)
{
	return saferead_read(memory, b - 40, &regs->bx) &&
	       saferead_read(memory, b - 32, &regs->r12) &&
	       saferead_read(memory, b - 24, &regs->r13) &&
	       saferead_read(memory, b - 16, &regs->r14) &&
	       saferead_read(memory, b - 8, &regs->r15);
}

int goframes_crosscall(struct saferead *memory, uint64_t record, uint64_t b, bool is_1_21,
		       struct regs *regs)
{
	uint64_t bp_at = goframes_crosscall_bp(b, is_1_21);
	bool is_read = are_saved(memory, b, regs) && saferead_read(memory, bp_at, &regs->bp) &&
		       saferead_read(memory, bp_at + 8, &regs->ip);

	(void)record;
	regs->sp = bp_at + 16;
	return is_read ? 0 : -1;
}

/*
 * callbackasm1 (purego, sys_amd64.s) saves registers like crosscall2, below its frame
 * pointer.  Above it are the return address and 14 words of arguments, the last one in
 * the place of the call's return address.
 */
#define CALLBACK_ARGUMENTS 14

int goframes_callback(struct saferead *memory, struct regs *regs)
{
	uint64_t b = regs->bp;
	bool is_read = are_saved(memory, b, regs) && saferead_read(memory, b, &regs->bp) &&
		       saferead_read(memory, b + 8, &regs->ip);

	regs->sp = b + 8 * (2 + CALLBACK_ARGUMENTS + 1);
	return is_read ? 0 : -1;
}

/*
 * It aligns the stack and saves the old pointer where C returns to; its frame record is above the
 * 16 bytes of its frame (runtime/sys_linux_amd64.s, 1.18 to 1.27).
 */
uint64_t goframes_mmap_record(struct saferead *memory, uint64_t sp)
{
	uint64_t was;

	return saferead_read(memory, sp, &was) && was - sp < 16 ? was + 16 : 0;
}
