/*
 * Where a thread's own stack lies, as libc has it.
 *
 * glibc keeps three words about a thread's stack in the thread's descriptor, which begins or ends
 * at the thread pointer: start, bytes and guard bytes (nptl/descr.h). Their place differs between
 * releases. It is learnt from two threads whose stacks are known, because we gave them
 * (ownthread.h). From then on only the words at that place count.
 *
 * Until then, and with a glibc of which it cannot be learnt, they are recognised where the
 * descriptor begins at the thread pointer: the stack ends just above it. Words that fit in two ways
 * are no answer.
 *
 * musl keeps five words there: the start and bytes of what it mapped, the stack's end, its bytes
 * and its guard's bytes (pthread_impl.h; src/thread/pthread_create.c). They have to agree, which
 * leaves no doubt, so nothing is learnt.
 *
 * All functions: no allocation, no lock, no system call.
 */
#ifndef CGOHEAP_DESCRIPTOR_H
#define CGOHEAP_DESCRIPTOR_H

#include "base/base.h"

struct descriptor_stack {
	uint64_t start, top; /* without the guard; the descriptor begins at or above top */
};

/* Once, in the constructor, before any other function. */
void descriptor_init(void);

/*
 * The stack of the thread with this descriptor. Returns 0, or -1: unknown, or it is the program's
 * first thread. Any thread, async-signal-safe.
 */
int descriptor_stack(uint64_t descriptor, struct descriptor_stack *out);

/*
 * What musl mapped for the thread with this descriptor, above the guard: the stack, unless the
 * program gave it one, thread-local storage and the descriptor. words: the descriptor or a copy of
 * it. 0, or -1: nothing, or it is no descriptor of musl's.
 */
#define DESCRIPTOR_MUSL_WORDS 24 /* more may not be mapped */
int descriptor_musl_mapping(const uint64_t words[DESCRIPTOR_MUSL_WORDS], uint64_t descriptor,
			    struct descriptor_stack *out);

/* Whether the place is known, so that answers are certain. Any thread, async-signal-safe. */
bool descriptor_is_learnt(void);

/*
 * A thread on the stack [start, start + bytes), which is never unmapped, has this descriptor. Two
 * threads whose sizes differ teach the place; a third that contradicts them makes it unknown for
 * good. One thread at a time.
 */
void descriptor_learn(uint64_t descriptor, uint64_t start, uint64_t bytes);

#endif
