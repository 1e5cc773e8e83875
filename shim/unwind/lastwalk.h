/*
 * What is remembered of a thread's last walk.
 *
 * A walk is a function of the registers that it starts with and of the words that it reads.  So a
 * walk that comes to a step of the last one, and finds the words that were read from there on as
 * they were, would go the same way.  Kept is, for each step, the address that was read and what
 * was found there: the return address and, where a later step used it, the frame pointer.
 *
 * Nothing else may have changed: rows (the generation of the loaded code), the stack's top.  The
 * way from C into Go and back is not remembered but walked each time, as it depends on the
 * runtime's state; what follows it counts only if it leads to the same place.  Walks of other
 * kinds (quickwalk.h says which) are not kept.
 *
 * There are LASTWALK_COUNT memories of 4 KiB, touched when a thread first captures.  The first
 * LASTWALK_OWN threads have one each, for as long as the process lives, and take it without an
 * atomic operation.  Further threads share the others and lose what another one has left there.  A
 * signal handler that captures while its thread does has none.
 *
 * All functions: any thread, async-signal-safe; no lock and no system call.
 */
#ifndef CGOHEAP_LASTWALK_H
#define CGOHEAP_LASTWALK_H

#include "base/base.h"
#include "unwind/capture.h"

#define LASTWALK_COUNT 64
#define LASTWALK_OWN   32
#define LASTWALK_STEPS 160
#define LASTWALK_RUNS  8 /* of steps on one stack; walks with more are not kept */

/* What the step from one frame to its caller depends on, in the low bits of steps.at. */
enum step_kind {
	STEP_PLAIN = 1,   /* only on the row: the caller's `at` is a fixed distance away */
	STEP_CHAINED = 0, /* the word at `at` is the caller's `at` */
	STEP_BY_BP = 2,   /* the word at bp_at is the caller's `at` */
	STEP_CROSSES = 4, /* into Go or into C: walked each time */
	STEP_ROOT = 6,    /* there is no caller */
};
#define STEP_KIND UINT64_C(7)
#define STEP_LINK UINT64_C(1) /* bp_at of a STEP_ROOT: the word at `at` is 0 */

/*
 * A frame is at `at`: its return address `ip` is in the next word, and its stack pointer above
 * that. Both are known for a frame record; for any other frame `at` is where the record would be.
 */
struct steps {
	uint64_t at[LASTWALK_STEPS]; /* with the enum step_kind */
	uint64_t ip[LASTWALK_STEPS];
	/* C: where rbp is.  STEP_CROSSES: the goroutine's stack.hi, or how far above crosscall2's
	 * frame pointer the next frame is. */
	uint64_t bp_at[LASTWALK_STEPS];
};

struct last_walk {
	uint32_t is_busy, is_shared;
	uint32_t serial; /* of the thread's last capture */
	uint64_t note;   /* capture_note; 0: none */
	uint64_t leaf;
	uint64_t top; /* of the thread's stack; 0: nothing is kept */
	uint32_t labels, generation;
	uint32_t first;                /* its steps are [first, LASTWALK_STEPS) */
	uint32_t lead_end;             /* those before this one are in the shim; it is not */
	uint32_t shim_end;             /* from here on none is */
	uint32_t end;                  /* enum capture_end */
	const struct gomodule *module; /* of the latest way into Go; NULL: none yet */
	/* If every way into Go was one by module's code, into the goroutine g that then was the
	 * thread's own, with this stack; else 0. */
	uint64_t own_g, own_lo, own_hi;
	/* The last step of each run of steps on one stack, the root's first.  C and Go alternate.
	 */
	uint32_t run_count, runs[LASTWALK_RUNS];
	struct steps steps;
};

extern __thread struct last_walk *lastwalk_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
struct last_walk *lastwalk_choose(void);

/* -1: in use. */
static inline int lastwalk_take_this(struct last_walk *last)
{
	if (unlikely(last->is_shared))
		return __atomic_exchange_n(&last->is_busy, 1, __ATOMIC_ACQUIRE) ? -1 : 0;
	if (unlikely(LOAD(&last->is_busy)))
		return -1;
	/* Only a handler on this thread could come between: it gives it back before it ends. */
	STORE(&last->is_busy, 1);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return 0;
}

/* The memory of this thread, until lastwalk_give.  NULL: in use. */
static inline struct last_walk *lastwalk_take(void)
{
	struct last_walk *last = LOAD(&lastwalk_self);

	if (unlikely(!last))
		last = lastwalk_choose();
	return likely(!lastwalk_take_this(last)) ? last : NULL;
}

static inline void lastwalk_give(struct last_walk *last)
{
	STORE_REL(&last->is_busy, 0);
}

/* In a forked child: what other threads had in use is free. */
void lastwalk_after_fork_in_child(void);

#endif
