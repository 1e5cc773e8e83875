/*
 * A frame of SIZE bytes in a library of its own: calls then, and keeps the word at STALE above its
 * stack pointer. Libraries of different sizes have the same code but for these numbers.
 */
#define TEXT2(a) #a
#define TEXT(a)  TEXT2(a)

void edges_frame(void (*then)(void), const void *stale);
__asm__(".text\n"
	".globl edges_frame\n"
	".type edges_frame, @function\n"
	"edges_frame:\n"
	".cfi_startproc\n"
	"sub $" TEXT(
		SIZE) ", %rsp\n"
		      ".cfi_adjust_cfa_offset " TEXT(
			      SIZE) "\n"
				    "mov %rsi, " TEXT(
					    STALE) "(%rsp)\n"
						   "call *%rdi\n"
						   "add $" TEXT(
							   SIZE) ", %rsp\n"
								 ".cfi_adjust_cfa_offset -" TEXT(
									 SIZE) "\n"
									       "ret\n"
									       ".cfi_endproc\n"
									       ".size edges_frame, "
									       ".-edges_frame\n");
