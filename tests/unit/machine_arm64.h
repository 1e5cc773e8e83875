/* For machine.h. */
#ifndef CGOHEAP_TESTS_MACHINE_ARM64_H
#define CGOHEAP_TESTS_MACHINE_ARM64_H

#include <sys/syscall.h>

/* libunwind has them in the order x0 to x30 sp pc. */
#define MACHINE_CONTEXT(n) (n)
#define MACHINE_CONTEXT_PC 32
#define MACHINE_LOADER     "ld-linux-aarch64.so.1"

#define MACHINE_SAVED(X)                                                                           \
	X(29, x29)                                                                                 \
	X(19, x19)                                                                                 \
	X(20, x20)                                                                                 \
	X(21, x21) X(22, x22) X(23, x23) X(24, x24) X(25, x25) X(26, x26) X(27, x27) X(28, x28)

#define MACHINE_FRAME          ".cfi_def_cfa_offset 16\n.cfi_offset 30, -16\n"
#define MACHINE_FRAME_BYTES    16
#define MACHINE_PROLOGUE_BYTES 4
#define MACHINE_FRAME_AT(name) ".cfi_def_cfa " #name ", 16\n.cfi_offset 30, -8\n"

#define MACHINE_HOLD                                                                               \
	"stp x29, x30, [sp, #-16]!\n"                                                              \
	".cfi_adjust_cfa_offset 16\n"                                                              \
	".cfi_rel_offset 30, 8\n"                                                                  \
	"mov x29, x0\n"                                                                            \
	"blr x1\n"                                                                                 \
	"ldp x29, x30, [sp], #16\n"                                                                \
	".cfi_adjust_cfa_offset -16\n"                                                             \
	".cfi_restore 30\n"                                                                        \
	"ret\n"

static const uint32_t machine_setter[] = {
	0xf9400b90, 0xeb3063ff, 0x54000209, 0xf81e0ffe, 0xf81f83fd, 0xd10023fd,
	0xf9000bfc, 0x90000afb, 0xb94ea361, 0x34000081, 0xf940b381, 0x940015dd,
	0xa9000720, 0xf9400be1, 0xf900b020, 0xf85f83fd, 0xf84207fe, 0xd65f03c0,
	0xf90007e0, 0xaa1e03e3, 0x94000dbc, 0xf94007e0, 0x17ffffea};
static const uint32_t machine_setter_race[] = {
	0xf9400b90, 0xeb3063ff, 0x54000349, 0xf81d0ffe, 0xf81f83fd, 0xd10023fd, 0xf9001fe0,
	0xd503201f, 0x90008861, 0x911dc021, 0xaa1c03e0, 0x97ff9b41, 0xf90013fc, 0x9000887b,
	0xb9485362, 0x35000062, 0xf9401fe0, 0x14000006, 0x94000fce, 0xf9401fe0, 0xf9000320,
	0xf940af81, 0xf9000721, 0xf94013e1, 0xf900ac20, 0xa97ffbfd, 0x9100c3ff, 0xd65f03c0,
	0xf90007e0, 0xaa1e03e3, 0x9400068a, 0xf94007e0, 0x17ffffe0};

#define MACHINE_SETTER_STORED    60
#define MACHINE_SETTER_ELSEWHERE 57, 0xac
#define MACHINE_SETTER_NOT_G     41, 0xb0 /* x4, not x28 */

/* Where a function without a frame returns to, in our registers and in libunwind's. */
#define MACHINE_SET_LINK(regs, context, to) ((regs).lr = (context).data[30] = (to))

/* Whether a walk takes over what the thread's last one found (quickwalk_arm64.c). */
#define MACHINE_WALKS_QUICKLY false

/* clone3 of a thread that only waits. */
static inline long machine_start_waiter(void *args, size_t size)
{
	register long x0 __asm__("x0") = (long)args;
	register long x1 __asm__("x1") = (long)size;
	register long x8 __asm__("x8") = SYS_clone3;

	__asm__ volatile("svc #0\n"
			 "cbnz x0, 1f\n"
			 "2: mov x0, #0\n"
			 "mov x1, #0\n"
			 "mov x2, #0\n"
			 "mov x3, #0\n"
			 "mov x8, %[ppoll]\n"
			 "svc #0\n"
			 "b 2b\n"
			 "1:\n"
			 : "+r"(x0), "+r"(x1), "+r"(x8)
			 : [ppoll] "i"(SYS_ppoll)
			 : "x2", "x3", "memory");
	return x0;
}

#endif
