/* For machine.h. */
#define CALL_AT                                                                                    \
	".cfi_startproc\n"                                                                         \
	"push %rbp\n"                                                                              \
	".cfi_adjust_cfa_offset 8\n"                                                               \
	".cfi_rel_offset %rbp, 0\n"                                                                \
	"mov %rsp, %rbp\n"                                                                         \
	".cfi_def_cfa_register %rbp\n"                                                             \
	"mov %rdi, %rsp\n"                                                                         \
	"mov %rsi, %rax\n"                                                                         \
	"mov %rdx, %r11\n"                                                                         \
	"mov 0(%r11), %rdi\n"                                                                      \
	"mov 8(%r11), %rsi\n"                                                                      \
	"mov 16(%r11), %rdx\n"                                                                     \
	"mov 24(%r11), %rcx\n"                                                                     \
	"mov 32(%r11), %r8\n"                                                                      \
	"mov 40(%r11), %r9\n"                                                                      \
	"call *%rax\n"                                                                             \
	"leave\n"                                                                                  \
	".cfi_def_cfa %rsp, 8\n"                                                                   \
	"ret\n"                                                                                    \
	".cfi_endproc\n"

static inline long machine_call(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
