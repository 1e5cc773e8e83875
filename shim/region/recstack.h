/*
 * The stacks that hooks record on.
 *
 * A hook runs on whatever stack its caller has: 16 KiB of a small thread, 8 KiB of a
 * coroutine in malloc's memory, the rest of a signal handler's stack.  How much is left
 * cannot be determined: below the last page may be a guard or the program's data.  So a
 * hook uses little of it (at most 256 bytes, which interpose_depth checks) and does the
 * rest on one of these stacks.  They are mapped once, in the constructor, each with a
 * guard page below, and are taken and returned by one atomic exchange.
 *
 * Only the library's work runs there, never the function that a hook wraps: whatever the
 * host could leave by longjmp, an exception or pthread_exit stays on its own stack.  A
 * signal handler without SA_ONSTACK that interrupts the work would run there too.  If
 * the program has such handlers (sighandlers.h), the work runs on the thread's stack,
 * provided that its bounds are known and RECSTACK_ROOM is left.  Otherwise the handler
 * has RECSTACK_BYTES minus what recording uses (12 KiB).  Unwinders and debuggers find
 * the way back by CFI; the shadow stack stays consistent, since calls and returns are
 * balanced.
 */
#ifndef CGOHEAP_RECSTACK_H
#define CGOHEAP_RECSTACK_H

#include "base/arch.h"
#include "base/base.h"

#define RECSTACK_BYTES (60 * KIB) /* each, without its guard */
#define RECSTACK_ROOM  (256 * KIB)
#define RECSTACK_COUNT 128 /* threads that can record at once, including preempted ones */

/*
 * host: the registers of the function that called recstack_run, as of its return.  NULL: no
 * recording stack is free, so the work runs on the caller's stack, which may be 16 KiB and nearly
 * used up.  Then it must not walk the stack and does only what cannot be skipped.
 */
typedef void recstack_work(void *arg, const struct regs *host);

/* Maps the stacks; later calls do nothing.  One thread, before anything is recorded.  -1: no
 * memory. */
int recstack_init(void);

/*
 * Calls work(arg) on a recording stack.  False: none exists or none is free, and nothing
 * was called.  Uses less than 100 bytes of the caller's stack, makes no system call and
 * never waits.  Any thread, async-signal-safe, may nest.
 */
bool recstack_run(recstack_work *work, void *arg);

/* The same, but if no stack is free, runs on the caller's stack with host NULL.  For work that
 * cannot be skipped. */
void recstack_run_anyhow(recstack_work *work, void *arg);

/*
 * Makes work stay on the caller's stack if at least RECSTACK_ROOM bytes are left below sp, which
 * `room` returns.  NULL: never.
 */
typedef uint64_t recstack_room(uint64_t sp);
void recstack_stay(recstack_room *room);

/*
 * What a recording stack has besides its bytes. Work on it may change this by plain stores, since
 * taking and returning the stack orders them; work without a stack has none. Others read the
 * figures at any time.
 */
#define RECSTACK_FIGURES 14
struct recstack_own {
	uint64_t thread;                    /* the owner's thread pointer; 0: free */
	uint64_t pinned;                    /* pins.c */
	uint64_t figures[RECSTACK_FIGURES]; /* each only grows */
};
extern __thread struct recstack_own *recstack_own
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The n-th stack's, n below RECSTACK_COUNT. */
struct recstack_own *recstack_own_at(uint32_t n);

/* Adds 1 to a figure of the calling thread's stack, or, without one, to *otherwise. */
static inline void recstack_count(uint32_t figure, uint64_t *otherwise)
{
	struct recstack_own *own = recstack_own;

	if (likely(own))
		STORE(&own->figures[figure], LOAD(&own->figures[figure]) + 1);
	else
		ADD(otherwise, 1);
}

uint64_t recstack_figure(uint32_t figure); /* of all stacks together */

/* Their address range; 0, 0 before recstack_init. */
void recstack_range(uint64_t *start, uint64_t *end);

/* In a forked child: frees the stacks that other threads of the parent were using. */
void recstack_after_fork_in_child(void);

#endif
