/*
 * See signalframe.h.  struct rt_sigframe is a siginfo of 128 bytes and the ucontext, whose
 * uc_mcontext is at 176 (arch/arm64/kernel/signal.c, include/uapi/asm/sigcontext.h): the fault's
 * address, x0 to x30, sp, pc, and, at 288, records of which the first has the floating-point
 * registers.
 */
#include "unwind/signalframe.h"

#include <string.h>

#define CONTEXT    128
#define MCONTEXT   (CONTEXT + 176)
#define REGISTERS  (MCONTEXT + 8)
#define RECORDS    (MCONTEXT + 288)
#define FPSIMD     UINT64_C(0x46508001) /* its magic, and above it its size */
#define FPSIMD_ALL (UINT64_C(528) << 32 | FPSIMD)

/* mov x8, #139; svc #0 */
bool signalframe_is_return(const void *code)
{
	static const uint8_t expected[] = {0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4};

	return memcmp(code, expected, sizeof(expected)) == 0;
}

/*
 * The kernel's code that a handler returns to has no CFI, and may be in no module. The siginfo says
 * nothing: it is filled in for handlers with SA_SIGINFO only.
 */
bool signalframe_is_at(struct saferead *memory, uint64_t sp)
{
	uint64_t flags, link, record;

	return saferead_read(memory, sp + CONTEXT, &flags) && flags == 0 &&
	       saferead_read(memory, sp + CONTEXT + 8, &link) && link == 0 &&
	       saferead_read(memory, sp + RECORDS, &record) && record == FPSIMD_ALL;
}

int signalframe_read(struct saferead *memory, uint64_t sp, struct regs *regs)
{
	uint64_t registers = sp + REGISTERS;

	for (unsigned r = 0; r < 10; r++)
		if (!saferead_read(memory, registers + 8 * (19 + r), &regs->x19 + r))
			return -1;
	bool is_read = saferead_read(memory, registers + 8 * 29, &regs->bp) &&
		       saferead_read(memory, registers + 8 * 30, &regs->lr) &&
		       saferead_read(memory, registers + 8 * 31, &regs->sp) &&
		       saferead_read(memory, registers + 8 * 32, &regs->ip);
	return is_read ? 0 : -1;
}
