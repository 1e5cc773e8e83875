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

/* Their address range; 0, 0 before recstack_init. */
void recstack_range(uint64_t *start, uint64_t *end);

/* In a forked child: frees the stacks that other threads of the parent were using. */
void recstack_after_fork_in_child(void);

#endif
