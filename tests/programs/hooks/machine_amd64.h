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
