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
