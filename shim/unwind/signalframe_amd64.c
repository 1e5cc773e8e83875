/*
 * See signalframe.h.  The ucontext that the kernel pushed is just above the handler's return
 * address (arch/x86/include/asm/sigframe.h, struct rt_sigframe; uc_mcontext at 40, then r8-r15 rdi
 * rsi rbp rbx rdx rax rcx rsp rip).
 */
#include "unwind/signalframe.h"

#include <string.h>

/* mov $15,%rax; syscall */
bool signalframe_is_return(const void *code)
{
	static const uint8_t expected[SIGNALFRAME_CODE_BYTES] = {0x48, 0xc7, 0xc0, 0x0f, 0,
								 0,    0,    0x0f, 0x05};

	return memcmp(code, expected, sizeof(expected)) == 0;
}

bool signalframe_is_at(struct saferead *memory, uint64_t sp)
{
	(void)memory, (void)sp;
	return false;
}

int signalframe_read(struct saferead *memory, uint64_t sp, struct regs *regs)
{
	uint64_t gregs = sp + 40;
	bool is_read = saferead_read(memory, gregs + 8 * 4, &regs->r12) &&
		       saferead_read(memory, gregs + 8 * 5, &regs->r13) &&
		       saferead_read(memory, gregs + 8 * 6, &regs->r14) &&
		       saferead_read(memory, gregs + 8 * 7, &regs->r15) &&
		       saferead_read(memory, gregs + 8 * 10, &regs->bp) &&
		       saferead_read(memory, gregs + 8 * 11, &regs->bx) &&
		       saferead_read(memory, gregs + 8 * 15, &regs->sp) &&
		       saferead_read(memory, gregs + 8 * 16, &regs->ip);

	return is_read ? 0 : -1;
}
