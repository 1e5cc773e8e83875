/*
 * Reading words that an unwinder was led to.
 *
 * Nothing is dereferenced that could go away before it is read.  That leaves
 *
 *   the stack that the thread runs on, where its top is known: a thread of glibc's
 *   has its descriptor there, the program's first thread what the kernel put there;
 *   but not past a guard that the thread has set in it (saferead_lose);
 *   Go's heap, where goroutines' stacks are: the runtime never unmaps it (goarena.h);
 *   this thread's thread-local storage, and Go's modules (gomodules.h).
 *
 * Of any other stack (a coroutine's, a signal handler's, a raw clone's) the page that
 * the thread is on is certain.  What lies further up is copied by the kernel, which
 * answers instead of faulting (process_vm_readv), where the interval is finer than the
 * default and no filter judges system calls (seccomp.h); else the walk ends there.  On
 * a stack whose top is known no system call is made.
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
		uint64_t start, bytes; /* 8 divides both */
	} stack, goroutine;
	bool top_is_known;            /* of stack: then nothing is copied */
	uint32_t next;                /* copy to be replaced */
	struct saferead_copy *copies; /* SAFEREAD_COPIES of them */
};

/*
 * Begins a walk on the stack that this thread runs on at sp: what lies below is not
 * read.  sp is believed.  copies: room for them; need not be filled.
 */
void saferead_init(struct saferead *m, uint64_t sp, struct saferead_copy *copies);

/* The walk goes on at sp, on another stack: what a signal has interrupted.  sp may be anything. */
void saferead_go_on_at(struct saferead *m, uint64_t sp);

/* The walk has reached a goroutine whose stack this is.  False: not in Go's heap. */
bool saferead_on_goroutine(struct saferead *m, uint64_t lo, uint64_t hi);

/* The same of the goroutine that waits for this thread, by what the runtime says of both. */
void saferead_on_own_goroutine(struct saferead *m, uint64_t lo, uint64_t hi);

/* Words of frames that are others, which a sanitizer has marked as not to be touched. */
bool saferead_read_elsewhere(struct saferead *m, uint64_t address, uint64_t *word);

/* The aligned 8-byte word at address; false where it cannot be read. */
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

/*
 * This thread is about to unmap, replace or forbid to read the bytes from start on.  Where they
 * are of the stack it is on, or of the first thread's, that is no longer known as a whole.
 */
void saferead_lose(uint64_t start, uint64_t bytes);

/*
 * How much of the stack that this thread was made with lies below sp, of the first thread's what
 * it may grow to.  0: sp is on another stack.
 */
uint64_t saferead_stack_room(uint64_t sp);

/* Whether a walk may look for something at address: not above the stack, where that ends. */
static inline bool saferead_is_stack(const struct saferead *m, uint64_t address)
{
	return !m->top_is_known || address - m->stack.start < m->stack.bytes;
}

/* Whether all of the bytes can be dereferenced, and will be there while the walk lasts. */
bool saferead_holds(const struct saferead *m, uint64_t address, uint64_t bytes);

/* Copies bytes from anywhere, by a system call where that is allowed; false: it is not, or
 * they cannot be read. */
bool saferead_copy(uint64_t address, void *to, uint64_t bytes);

/* Whether it may: at first not.  Any thread. */
void saferead_allow_copies(bool allow);

/* How much static thread-local storage lies below the thread pointer, at least. */
uint64_t saferead_tls_bytes(void);

/* Once, in the constructor: what the kernel and the loader say. */
void saferead_start(void);

#endif
