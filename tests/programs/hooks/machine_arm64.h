/* For machine.h. */
#define CALL_AT                                                                                    \
	".cfi_startproc\n"                                                                         \
	"stp x29, x30, [sp, #-16]!\n"                                                              \
	".cfi_def_cfa_offset 16\n"                                                                 \
	".cfi_offset x29, -16\n"                                                                   \
	".cfi_offset x30, -8\n"                                                                    \
	"mov x29, sp\n"                                                                            \
	".cfi_def_cfa_register x29\n"                                                              \
	"mov sp, x0\n"                                                                             \
	"mov x9, x1\n"                                                                             \
	"mov x10, x2\n"                                                                            \
	"ldp x0, x1, [x10]\n"                                                                      \
	"ldp x2, x3, [x10, #16]\n"                                                                 \
	"ldp x4, x5, [x10, #32]\n"                                                                 \
	"blr x9\n"                                                                                 \
	"mov sp, x29\n"                                                                            \
	"ldp x29, x30, [sp], #16\n"                                                                \
	".cfi_def_cfa sp, 0\n"                                                                     \
	".cfi_restore x29\n"                                                                       \
	".cfi_restore x30\n"                                                                       \
	"ret\n"                                                                                    \
	".cfi_endproc\n"

static inline long machine_call(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
