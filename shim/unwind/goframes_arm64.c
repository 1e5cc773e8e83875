/* See goframes.h. */
#include "unwind/goframes.h"

#define CROSSCALL_BYTES 192
#define CROSSCALL_X19   32
#define CROSSCALL_X29   176
#define CALLBACK_BYTES  48 /* cgocallback's frame, below crosscall2's */

int goframes_crosscall(struct saferead *memory, uint64_t record, uint64_t b, bool is_1_21,
		       struct regs *regs)
{
	uint64_t sp = record + 8 + CALLBACK_BYTES;

	(void)b, (void)is_1_21;
	for (unsigned r = 0; r < 10; r++)
		if (!saferead_read(memory, sp + CROSSCALL_X19 + 8 * r, &regs->x19 + r))
			return -1;
	regs->sp = sp + CROSSCALL_BYTES;
	regs->lr = 0;
	return saferead_read(memory, sp + CROSSCALL_X29, &regs->bp) &&
			       saferead_read(memory, sp + CROSSCALL_X29 + 8, &regs->ip)
		       ? 0
		       : -1;
}

/* callbackasm1 (purego, sys_unix_arm64.s) keeps R27 and R30 at the lower end of its frame. */
#define CALLBACKASM_BYTES 208

int goframes_callback(struct saferead *memory, struct regs *regs)
{
	uint64_t sp = regs->sp;

	regs->sp = sp + CALLBACKASM_BYTES;
	return saferead_read(memory, sp, &regs->x27) && saferead_read(memory, sp + 8, &regs->ip)
		       ? 0
		       : -1;
}

/* The C function has saved R29, which points at the record, below its return address. */
uint64_t goframes_mmap_record(struct saferead *memory, uint64_t sp)
{
	uint64_t record;

	return saferead_read(memory, sp - 16, &record) && record > sp ? record : 0;
}
