/*
 * Reads words whose addresses an unwinder computed.
 *
 * Never dereferences memory that may be unmapped before it is read.  That leaves
 *
 *   the stack that the thread runs on, if its top is known: a thread made by libc has
 *   its descriptor there, the first thread what the kernel put there; but not past a
 *   guard that the thread has set in it (saferead_lose);
 *   Go's heap with the goroutines' stacks: the runtime never unmaps it (goarena.h);
 *   this thread's thread-local storage, and Go's modules (gomodules.h).
 *
 * On any other stack (a coroutine's, a signal handler's, a raw clone's) only the page at
 * the stack pointer is certain.  Pages above it are copied by the kernel, which returns
 * an error instead of faulting (process_vm_readv), if the interval is finer than the
 * default and no seccomp filter applies (seccomp.h); otherwise the walk ends there.  On a
 * stack whose top is known no system call is made.
 *
 * All functions: any thread and stack; no allocation, no lock; async-signal-safe.
 */
#ifndef CGOHEAP_SAFEREAD_H
#define CGOHEAP_SAFEREAD_H

#include "base/base.h"

#define SAFEREAD_COPIES 2

struct saferead_copy {
	uint64_t page; /* 0: none */
	uint64_t words[PAGE_BYTES / 8];
};

struct saferead {
	struct saferead_range {
		uint64_t start, bytes; /* multiples of 8 */
	} stack, goroutine;
	bool top_is_known;            /* of stack: if so, nothing is copied */
	uint32_t next;                /* the copy to replace next */
	struct saferead_copy *copies; /* SAFEREAD_COPIES of them */
};

/*
 * Begins a walk at sp on this thread's current stack.  Nothing below sp is read.  sp must
 * be valid.  copies: SAFEREAD_COPIES, may be uninitialised; NULL: nothing is copied.
 */
void saferead_init(struct saferead *m, uint64_t sp, struct saferead_copy *copies);

/*
 * Continues the walk at sp on another stack: one that a signal interrupted, with what lies in the
 * red zone below sp.  sp may be anything.
 */
void saferead_go_on_at(struct saferead *m, uint64_t sp);

/* The walk has reached a goroutine with this stack.  False: not in Go's heap. */
bool saferead_on_goroutine(struct saferead *m, uint64_t lo, uint64_t hi);

/* The same for the goroutine that waits for this thread, as found through the runtime. */
void saferead_on_own_goroutine(struct saferead *m, uint64_t lo, uint64_t hi);

/* For words in frames of others, which a sanitizer may have marked as inaccessible. */
bool saferead_read_elsewhere(struct saferead *m, uint64_t address, uint64_t *word);

/* The aligned 8-byte word at address; false: unreadable. */
__attribute__((no_sanitize("address"))) static inline bool saferead_read(struct saferead *m,
									 uint64_t address,
									 uint64_t *word)
{
	if (unlikely((address & 7) != 0))
		return false;
	if (likely(address - m->stack.start < m->stack.bytes ||
		   address - m->goroutine.start < m->goroutine.bytes)) {
		*word = LOAD((const uint64_t *)address);
		return true;
	}
	return saferead_read_elsewhere(m, address, word);
}

/* The aligned word at an address that is known to be readable, in frames of others too. */
__attribute__((no_sanitize("address", "thread"))) static inline uint64_t saferead_known_word(
	uint64_t address)
{
	return LOAD((const uint64_t *)address);
}

/*
 * This thread is about to unmap, replace or make unreadable the bytes from start on.  If they are
 * on its stack or on the first thread's, that stack no longer counts as a whole.
 */
void saferead_lose(uint64_t start, uint64_t bytes);

/*
 * How many bytes of this thread's original stack are below sp; for the first thread, up to
 * the limit of its growth.  0: sp is on another stack.
 */
uint64_t saferead_stack_room(uint64_t sp);

/* Whether a walk may search at address: if the stack's end is known, only below it. */
static inline bool saferead_is_stack(const struct saferead *m, uint64_t address)
{
	return !m->top_is_known || address - m->stack.start < m->stack.bytes;
}

/* Whether all of the bytes can be dereferenced, and stay mapped while the walk lasts. */
bool saferead_holds(const struct saferead *m, uint64_t address, uint64_t bytes);

/* Copies bytes from anywhere by a system call, if allowed; -1: not allowed, or
 * unreadable. */
int saferead_copy(uint64_t address, void *to, uint64_t bytes);

/* Whether saferead_copy is allowed; initially not.  Any thread. */
void saferead_allow_copies(bool allow);

/* A lower bound of the static thread-local storage. */
uint64_t saferead_tls_bytes(void);

/* Once, in the constructor: asks the kernel and the loader. */
void saferead_start(void);

#endif
