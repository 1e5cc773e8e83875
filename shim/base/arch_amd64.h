/* linux/amd64: system calls, the registers an unwinder follows. */
#ifndef CGOHEAP_ARCH_AMD64_H
#define CGOHEAP_ARCH_AMD64_H

#include <stdbool.h>
#include <stdint.h>

static inline long arch_syscall6(long n, long a, long b, long c, long d, long e, long f)
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

/* A counter of constant rate, the same on all cores; not ordered with what is around it. */
static inline uint64_t arch_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/*
 * The thread's number as glibc keeps it in its descriptor, which the thread pointer
 * points at (struct pthread, tid: there since 2003).  The caller has compared it with
 * the kernel's answer once.
 */
static inline int arch_thread_id(void)
{
	int tid;
	__asm__("mov %%fs:0x2d0, %0" : "=r"(tid));
	return tid;
}

/*
 * Floating point as a new process has it: nothing raises, everything rounds to
 * nearest.  A thread inherits what its maker has set.
 */
static inline void arch_reset_floating_point(void)
{
	uint32_t mxcsr = 0x1f80;
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

/* The callee-saved registers: all that the CFI of a caller can need. */
struct regs {
	uint64_t ip, sp, bp, bx, r12, r13, r14, r15;
};

/* The caller's registers as they are here.  Must be inlined to mean anything. */
__attribute__((always_inline)) static inline void arch_get_regs(struct regs *r)
{
	__asm__ volatile("lea 0(%%rip), %%rax\n\t"
			 "mov %%rax, 0(%0)\n\t"
			 "mov %%rsp, 8(%0)\n\t"
			 "mov %%rbp, 16(%0)\n\t"
			 "mov %%rbx, 24(%0)\n\t"
			 "mov %%r12, 32(%0)\n\t"
			 "mov %%r13, 40(%0)\n\t"
			 "mov %%r14, 48(%0)\n\t"
			 "mov %%r15, 56(%0)\n\t"
			 :
			 : "r"(r)
			 : "rax", "memory");
}

/*
 * Defines void name(void *top, void (*work)(void *arg, const struct regs *host), void *arg):
 * work(arg) on the stack that ends at top, which 16 divides; host are the registers of
 * the caller, where it goes on.  16 bytes of the caller's stack are taken.  The frame's
 * CFA lies on the old stack, so that every unwinder goes on there; it counts as a
 * signal's, of which debuggers know that the stack may be another one above it.
 */
#define ARCH_DEFINE_RUN_ON(name)                                                                   \
	__asm__(".pushsection .text\n"                                                             \
		".type " #name ", @function\n" #name ":\n"                                         \
		".cfi_startproc\n"                                                                 \
		".cfi_signal_frame\n"                                                              \
		"push %rbp\n"                                                                      \
		".cfi_def_cfa_offset 16\n"                                                         \
		".cfi_offset %rbp, -16\n"                                                          \
		"mov %rsp, %rbp\n"                                                                 \
		".cfi_def_cfa_register %rbp\n"                                                     \
		"lea -64(%rdi), %rsp\n"                                                            \
		"mov 8(%rbp), %rax\n"                                                              \
		"mov %rax, 0(%rsp)\n"                                                              \
		"lea 16(%rbp), %rax\n"                                                             \
		"mov %rax, 8(%rsp)\n"                                                              \
		"mov 0(%rbp), %rax\n"                                                              \
		"mov %rax, 16(%rsp)\n"                                                             \
		"mov %rbx, 24(%rsp)\n"                                                             \
		"mov %r12, 32(%rsp)\n"                                                             \
		"mov %r13, 40(%rsp)\n"                                                             \
		"mov %r14, 48(%rsp)\n"                                                             \
		"mov %r15, 56(%rsp)\n"                                                             \
		"mov %rsi, %rax\n"                                                                 \
		"mov %rdx, %rdi\n"                                                                 \
		"mov %rsp, %rsi\n"                                                                 \
		"call *%rax\n"                                                                     \
		"mov %rbp, %rsp\n"                                                                 \
		"pop %rbp\n"                                                                       \
		".cfi_def_cfa %rsp, 8\n"                                                           \
		".cfi_restore %rbp\n"                                                              \
		"ret\n"                                                                            \
		".cfi_endproc\n"                                                                   \
		".size " #name ", .-" #name "\n"                                                   \
		".popsection\n")

/*
 * Takes size off the 64-bit word at the start of the initial-exec thread-local
 * `variable`, and goes to `label` if that left nothing (the word was at most size).
 * One instruction and its address instead of load, compare, subtract and store:
 * this is the fast path of malloc.
 */
#define ARCH_TLS_SUBTRACT(variable, size, label)                                                   \
	do {                                                                                       \
		uint64_t arch_offset;                                                              \
		__asm__("movq " #variable "@gottpoff(%%rip), %0" : "=r"(arch_offset));             \
		__asm__ goto("subq %1, %%fs:(%0)\n\t"                                              \
			     "jbe %l2"                                                             \
			     :                                                                     \
			     : "r"(arch_offset), "r"(size)                                         \
			     : "cc", "memory"                                                      \
			     : label);                                                             \
	} while (0)

/*
 * Code that stores a pointer into a field of the running goroutine: the field's
 * offset.  Go keeps g in R14, or in the function's own copy of it; the old pointer
 * is loaded from there too (the garbage collector's write barrier).  So there are
 * 64-bit moves with one displacement of 32 bits, all the same, and at least one of
 * them has R14 for its base.  False: not such code.  (Seen in Go 1.21 to 1.27,
 * with -race and without optimisation too.)
 */
static inline bool arch_field_of_g(const uint8_t *code, uint64_t bytes, uint32_t *offset)
{
	bool from_g = false, stores = false;
	uint32_t found = 0;

	for (uint64_t i = 0; i + 7 <= bytes; i++) {
		uint8_t rex = code[i], op = code[i + 1], base = code[i + 2] & 7;
		uint32_t at = (uint32_t)code[i + 3] | (uint32_t)code[i + 4] << 8 |
			      (uint32_t)code[i + 5] << 16 | (uint32_t)code[i + 6] << 24;
		/* REX.W without an index; MOV; base + disp32 (4: a SIB byte follows) */
		if ((rex & 0xfa) != 0x48 || (op != 0x8b && op != 0x89) || code[i + 2] >> 6 != 2 ||
		    base == 4 || at == 0 || at >= 4096 || at % 8)
			continue;
		if (found && at != found)
			return false;
		found = at;
		stores |= op == 0x89;
		from_g |= (rex & 1) && base == 6;
	}
	*offset = found;
	return found && stores && from_g;
}

/* The thread control block: on glibc it sits at the top of the thread's stack. */
static inline uint64_t arch_thread_pointer(void)
{
	uint64_t tp;
	__asm__("mov %%fs:0x10, %0" : "=r"(tp));
	return tp;
}

/* The same in all threads of a process (tcbhead_t.stack_guard). */
static inline uint64_t arch_stack_guard(void)
{
	uint64_t guard;
	__asm__("mov %%fs:0x28, %0" : "=r"(guard));
	return guard;
}

#endif
