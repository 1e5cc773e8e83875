/* linux/amd64: system calls, and the registers an unwinder follows. */
#ifndef CGOHEAP_ARCH_AMD64_H
#define CGOHEAP_ARCH_AMD64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARCH_ELF_MACHINE  EM_X86_64
#define ARCH_KNOWS_MUSL   true /* its thread descriptor is at the thread pointer */
#define ARCH_PAGE_MOST    4096 /* bytes of the largest page a kernel may have */
#define ARCH_ADDRESS_BITS 47   /* of the address space that programs have */
#define ARCH_CODE_BYTES   1    /* of the shortest instruction; others are multiples of it */
#define ARCH_RED_ZONE     128  /* bytes below the stack pointer that a signal leaves alone */

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

/* A constant-rate counter, equal on all cores; not ordered with surrounding instructions. */
static inline uint64_t arch_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/* In a loop that waits for another thread. */
static inline void arch_pause(void)
{
	__builtin_ia32_pause();
}

/*
 * Copies n bytes, or writes n bytes of this word, without calling anything.  Words, then bytes:
 * older processors are fast only with whole words.
 */
static inline void arch_copy_up(void *to, const void *from, size_t n)
{
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("rep movsq\n\tmov %3, %0\n\trep movsb"
			 : "+c"(words), "+D"(to), "+S"(from)
			 : "r"(rest)
			 : "memory");
}

/* From the last byte to the first. */
static inline void arch_copy_down(void *to, const void *from, size_t n)
{
	char *d = (char *)to + n - 1;
	const char *s = (const char *)from + n - 1;

	__asm__ volatile("std\n\trep movsb\n\tcld" : "+c"(n), "+D"(d), "+S"(s) : : "memory");
}

static inline void arch_fill(void *to, uint64_t word, size_t n)
{
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("rep stosq\n\tmov %2, %0\n\trep stosb"
			 : "+c"(words), "+D"(to)
			 : "r"(rest), "a"(word)
			 : "memory");
}

/* A client request (valgrind.h); outside valgrind the five instructions do nothing. */
static inline void arch_ask_valgrind(const uint64_t request[6])
{
	uint64_t result = 0;

	__asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(result)
			 : "a"(request)
			 : "cc", "memory");
}

/*
 * The thread ID as glibc keeps it in its thread descriptor (struct pthread, tid: there
 * since 2003), which the thread pointer points at.  The caller must have compared it
 * with the kernel's answer once.
 */
static inline int arch_thread_id(void)
{
	int tid;
	__asm__("mov %%fs:0x2d0, %0" : "=r"(tid));
	return tid;
}

/*
 * Sets the floating-point state of a new process: no exceptions, round to nearest.  A
 * new thread inherits its creator's settings.
 */
static inline void arch_reset_floating_point(void)
{
	uint32_t mxcsr = 0x1f80;
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

/* The callee-saved registers: all that a caller's CFI can need. */
struct regs {
	uint64_t ip, sp, bp, bx, r12, r13, r14, r15;
};

/* The caller's current registers; only works inlined. */
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

/* Takes a word that code has saved as its return address for an address. */
static inline uint64_t arch_return_address(uint64_t word)
{
	return word;
}

/* Where the function at these registers returns to, if that is in a register; 0: it is not. */
static inline uint64_t arch_link(const struct regs *regs)
{
	(void)regs;
	return 0;
}

/* A caller is in the middle of a call, which has changed that register. */
static inline void arch_forget_link(struct regs *regs)
{
	(void)regs;
}

/*
 * Defines void name(void *top, void (*work)(void *arg, const struct regs *host), void *arg).
 * It calls work(arg, host) on the stack that ends at top, which must be a multiple of 16;
 * host has the caller's registers as of its return.  Uses 16 bytes of the caller's stack.
 * The frame's CFA is on the old stack, so every unwinder continues there.  It is marked as
 * a signal frame, because debuggers accept a change of stack at those.
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
 * Subtracts size from the 64-bit word at the start of the initial-exec thread-local
 * `variable`, and jumps to `label` if the word was at most size.  One instruction plus
 * its address, instead of load, compare, subtract and store: this is the fast path of
 * malloc.
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
 * Finds the field offset in code that stores a pointer into a field of the running
 * goroutine.  Go keeps g in R14 or in a copy made by the function, and also loads the old
 * pointer from the field (the garbage collector's write barrier).  So the code has 64-bit
 * moves with 32-bit displacements, all equal, at least one of them with base R14.  False:
 * not such code.  (Seen in Go 1.21 to 1.27, also with -race and without optimisation.)
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

/* Unlike __builtin_frame_address, without a frame pointer for whom unwinds. */
static inline uint64_t arch_stack_pointer(void)
{
	uint64_t sp;

	__asm__ volatile("mov %%rsp, %0" : "=r"(sp));
	return sp;
}

/* The thread control block, which begins with its own address (ELF TLS, variant II).  glibc and
 * musl have it near the top of the thread's stack. */
static inline uint64_t arch_thread_pointer(void)
{
	uint64_t tp;
	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return tp;
}

/*
 * Where the thread has static thread-local storage: `offset` bytes below the thread pointer.  The
 * executable's comes first, at ARCH_TLS_FIRST if it has one word.
 */
#define ARCH_TLS_FIRST 8
static inline uint64_t arch_tls_at(uint64_t offset)
{
	return arch_thread_pointer() - offset;
}

/* The offset that the loader has filled in for a relocation of ARCH_TLS_RELOCATION. */
#define ARCH_TLS_RELOCATION R_X86_64_TPOFF64
static inline uint64_t arch_tls_offset(uint64_t word)
{
	return -word;
}

/* Whether the word at address is in `bytes` of that storage. */
static inline bool arch_is_in_tls(uint64_t address, uint64_t bytes)
{
	return arch_thread_pointer() - address - 8 < bytes;
}

/* How much of the C library's thread descriptor is below the thread pointer, at most, and how far
 * above it the thread's stack ends, in bytes. */
#define ARCH_DESCRIPTOR_BELOW 0
#define ARCH_STACK_END_LEAST  2048
#define ARCH_STACK_END_MOST   8192

/* The same in all threads of the process, where compilers expect it. */
static inline uint64_t arch_stack_guard(void)
{
	uint64_t guard;
	__asm__("mov %%fs:0x28, %0" : "=r"(guard));
	return guard;
}

#endif
