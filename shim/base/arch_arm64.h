/* linux/arm64: system calls, and the registers an unwinder follows. */
#ifndef CGOHEAP_ARCH_ARM64_H
#define CGOHEAP_ARCH_ARM64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARCH_ELF_MACHINE  EM_AARCH64
#define ARCH_PAGE_MOST    65536
#define ARCH_ADDRESS_BITS 48 /* more (52) is there only for who asks mmap for it */
#define ARCH_CODE_BYTES   4
#define ARCH_RED_ZONE     0
#define ARCH_KNOWS_MUSL   false /* its thread descriptor ends at the thread pointer */

static inline long arch_syscall6(long n, long a, long b, long c, long d, long e, long f)
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
			 : "cc", "memory");
	return x0;
}

/* A constant-rate counter, equal on all cores; not ordered with surrounding instructions. */
static inline uint64_t arch_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}

/* In a loop that waits for another thread. */
static inline void arch_pause(void)
{
	__asm__ volatile("yield" : : : "memory");
}

/* Copies n bytes, or writes n bytes of this word, without calling anything. */
static inline void arch_copy_up(void *to, const void *from, size_t n)
{
	uint64_t word;

	__asm__ volatile("b 2f\n"
			 "1:\tldr %3, [%1], #8\n\t"
			 "str %3, [%0], #8\n"
			 "2:\tsubs %2, %2, #8\n\t"
			 "b.hs 1b\n\t"
			 "adds %2, %2, #8\n\t"
			 "b 4f\n"
			 "3:\tldrb %w3, [%1], #1\n\t"
			 "strb %w3, [%0], #1\n\t"
			 "subs %2, %2, #1\n"
			 "4:\tb.ne 3b"
			 : "+r"(to), "+r"(from), "+r"(n), "=&r"(word)
			 :
			 : "cc", "memory");
}

/* From the last byte to the first. */
static inline void arch_copy_down(void *to, const void *from, size_t n)
{
	uint32_t byte;

	__asm__ volatile("b 2f\n"
			 "1:\tldrb %w1, [%2, %0]\n\t"
			 "strb %w1, [%3, %0]\n"
			 "2:\tsubs %0, %0, #1\n\t"
			 "b.hs 1b"
			 : "+r"(n), "=&r"(byte)
			 : "r"(from), "r"(to)
			 : "cc", "memory");
}

static inline void arch_fill(void *to, uint64_t word, size_t n)
{
	__asm__ volatile("b 2f\n"
			 "1:\tstr %2, [%0], #8\n"
			 "2:\tsubs %1, %1, #8\n\t"
			 "b.hs 1b\n\t"
			 "adds %1, %1, #8\n\t"
			 "b 4f\n"
			 "3:\tstrb %w2, [%0], #1\n\t"
			 "subs %1, %1, #1\n"
			 "4:\tb.ne 3b"
			 : "+r"(to), "+r"(n)
			 : "r"(word)
			 : "cc", "memory");
}

/* A client request (valgrind.h); outside valgrind the five instructions do nothing. */
static inline void arch_ask_valgrind(const uint64_t request[6])
{
	register uint64_t result __asm__("x3") = 0;
	register const uint64_t *asked __asm__("x4") = request;

	__asm__ volatile("ror x12, x12, #3\n\tror x12, x12, #13\n\t"
			 "ror x12, x12, #51\n\tror x12, x12, #61\n\t"
			 "orr x10, x10, x10"
			 : "+r"(result)
			 : "r"(asked)
			 : "cc", "memory");
}

/*
 * glibc's thread descriptor ends at the thread pointer, and its size differs between releases, so
 * that the ID is not at one place: the caller asks the kernel, once a thread.
 */
static inline int arch_thread_id(void)
{
	return 0;
}

/*
 * Sets the floating-point state of a new process: no exceptions, round to nearest.  A
 * new thread inherits its creator's settings.
 */
static inline void arch_reset_floating_point(void)
{
	__asm__ volatile("msr fpcr, xzr");
}

/*
 * The callee-saved registers: all that a caller's CFI can need; bp is x29.  lr is where a function
 * that has not saved it returns to, known only for code that was interrupted; 0: unknown.
 */
struct regs {
	uint64_t ip, sp, bp, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, lr;
};

/* The caller's current registers; only works inlined. */
__attribute__((always_inline)) static inline void arch_get_regs(struct regs *r)
{
	__asm__ volatile("adr x9, .\n\t"
			 "mov x10, sp\n\t"
			 "stp x9, x10, [%0, #0]\n\t"
			 "stp x29, x19, [%0, #16]\n\t"
			 "stp x20, x21, [%0, #32]\n\t"
			 "stp x22, x23, [%0, #48]\n\t"
			 "stp x24, x25, [%0, #64]\n\t"
			 "stp x26, x27, [%0, #80]\n\t"
			 "stp x28, xzr, [%0, #96]"
			 :
			 : "r"(r)
			 : "x9", "x10", "memory");
}

/*
 * Takes a word that code has saved as its return address for an address: the saved one may be
 * signed (pointer authentication).  xpaclri, which older processors take for a hint.
 */
static inline uint64_t arch_return_address(uint64_t word)
{
	register uint64_t x30 __asm__("x30") = word;

	__asm__("hint #7" : "+r"(x30));
	return x30;
}

/* Where the function at these registers returns to, if that is in a register; 0: it is not. */
static inline uint64_t arch_link(const struct regs *regs)
{
	return arch_return_address(regs->lr);
}

/* A caller is in the middle of a call, which has changed that register. */
static inline void arch_forget_link(struct regs *regs)
{
	regs->lr = 0;
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
		".balign 4\n"                                                                      \
		".type " #name ", %function\n" #name ":\n"                                         \
		".cfi_startproc\n"                                                                 \
		".cfi_signal_frame\n"                                                              \
		"stp x29, x30, [sp, #-16]!\n"                                                      \
		".cfi_def_cfa_offset 16\n"                                                         \
		".cfi_offset 29, -16\n"                                                            \
		".cfi_offset 30, -8\n"                                                             \
		"mov x29, sp\n"                                                                    \
		".cfi_def_cfa_register 29\n"                                                       \
		"sub sp, x0, #112\n"                                                               \
		"add x3, x29, #16\n"                                                               \
		"stp x30, x3, [sp, #0]\n"                                                          \
		"ldr x3, [x29]\n"                                                                  \
		"stp x3, x19, [sp, #16]\n"                                                         \
		"stp x20, x21, [sp, #32]\n"                                                        \
		"stp x22, x23, [sp, #48]\n"                                                        \
		"stp x24, x25, [sp, #64]\n"                                                        \
		"stp x26, x27, [sp, #80]\n"                                                        \
		"stp x28, xzr, [sp, #96]\n"                                                        \
		"mov x3, x1\n"                                                                     \
		"mov x0, x2\n"                                                                     \
		"mov x1, sp\n"                                                                     \
		"blr x3\n"                                                                         \
		"mov sp, x29\n"                                                                    \
		".cfi_def_cfa_register 31\n"                                                       \
		"ldp x29, x30, [sp], #16\n"                                                        \
		".cfi_def_cfa_offset 0\n"                                                          \
		".cfi_restore 29\n"                                                                \
		".cfi_restore 30\n"                                                                \
		"ret\n"                                                                            \
		".cfi_endproc\n"                                                                   \
		".size " #name ", .-" #name "\n"                                                   \
		".popsection\n")

/*
 * Subtracts size from the 64-bit word at the start of the initial-exec thread-local
 * `variable`, and jumps to `label` if the word was at most size.  A signal handler that allocates
 * between the load and the store is not counted.
 */
#define ARCH_TLS_SUBTRACT(variable, size, label)                                                   \
	do {                                                                                       \
		uint64_t *arch_word = (uint64_t *)(void *)&variable;                               \
		uint64_t arch_was = __atomic_load_n(arch_word, __ATOMIC_RELAXED);                  \
		uint64_t arch_size = (uint64_t)(size);                                             \
		__atomic_store_n(arch_word, arch_was - arch_size, __ATOMIC_RELAXED);               \
		if (arch_was <= arch_size)                                                         \
			goto label;                                                                \
	} while (0)

/*
 * Finds the field offset in code that stores a pointer into a field of the running
 * goroutine.  Go keeps g in R28 or in a copy made by the function, and also loads the old
 * pointer from the field (the garbage collector's write barrier).  So the code has 64-bit loads and
 * stores with one offset, at least one of them with base R28.  Others have the stack pointer, R25
 * (the barrier's buffer), R26 (the closure) or R27 (addresses of variables) as base, or are of
 * g.stackguard0 or g.m.  False: not such code.  (Seen in Go 1.21 to 1.27, also with -race.)
 */
static inline bool arch_field_of_g(const uint8_t *code, uint64_t bytes, uint32_t *offset)
{
	bool from_g = false, stores = false;
	uint32_t found = 0;

	for (uint64_t i = 0; i + 4 <= bytes; i += 4) {
		uint32_t op = (uint32_t)code[i] | (uint32_t)code[i + 1] << 8 |
			      (uint32_t)code[i + 2] << 16 | (uint32_t)code[i + 3] << 24;
		uint32_t base = op >> 5 & 31, at = (op >> 10 & 0xfff) * 8;
		bool is_store = op >> 22 == 0x3e4, is_load = op >> 22 == 0x3e5;
		if ((!is_store && !is_load) || base == 31 || (base >= 25 && base <= 27) ||
		    at == 0 || at >= 4096 || (base == 28 && (at == 0x10 || at == 0x30)))
			continue;
		if (found && at != found)
			return false;
		found = at;
		stores |= is_store;
		from_g |= base == 28;
	}
	*offset = found;
	return found && stores && from_g;
}

/* Unlike __builtin_frame_address, without a frame pointer for whom unwinds. */
static inline uint64_t arch_stack_pointer(void)
{
	uint64_t sp;

	__asm__ volatile("mov %0, sp" : "=r"(sp));
	return sp;
}

/* glibc's thread descriptor ends here, near the top of the thread's stack. */
static inline uint64_t arch_thread_pointer(void)
{
	uint64_t tp;

	__asm__("mrs %0, tpidr_el0" : "=r"(tp));
	return tp;
}

/*
 * Where the thread has static thread-local storage: `offset` bytes above the thread pointer, behind
 * two words of the C library.  The executable's comes first.
 */
#define ARCH_TLS_FIRST 16
static inline uint64_t arch_tls_at(uint64_t offset)
{
	return arch_thread_pointer() + offset;
}

/* The offset that the loader has filled in for a relocation of ARCH_TLS_RELOCATION. */
#define ARCH_TLS_RELOCATION R_AARCH64_TLS_TPREL
static inline uint64_t arch_tls_offset(uint64_t word)
{
	return word;
}

/* Whether the word at address is in `bytes` of that storage. */
static inline bool arch_is_in_tls(uint64_t address, uint64_t bytes)
{
	return address - arch_thread_pointer() - ARCH_TLS_FIRST < bytes;
}

/* How much of the C library's thread descriptor is below the thread pointer, at most, and how far
 * above it the thread's stack ends, in bytes: thread-local storage is between them. */
#define ARCH_DESCRIPTOR_BELOW 2048
#define ARCH_STACK_END_LEAST  ARCH_TLS_FIRST
#define ARCH_STACK_END_MOST   (1 << 20)

/* No word of the descriptor is the same in all threads: this one is in none. */
static inline uint64_t arch_stack_guard(void)
{
	return UINT64_MAX;
}

#endif
