/*
 * The stacks that hooks record on.
 *
 * A hook runs on whatever stack its caller has: 16 KiB of a small thread, 8 KiB of
 * a coroutine in malloc's memory, what is left of a signal handler's.  How much is
 * left cannot be found out: below the last page may lie a guard, or the program's
 * data.  So a hook takes little of it (256 bytes at most, interpose_depth checks)
 * and does what takes more on one of these: mapped once, in the constructor, with a
 * guard below each, taken and given back by one atomic exchange.
 *
 * Only the library's work runs there, never the function that a hook stands for:
 * what the host could leave by longjmp, an exception or pthread_exit stays on its
 * own stack.  A signal handler without SA_ONSTACK that comes meanwhile would run there
 * too.  Where the program has one (sighandlers.h), the work is done on the thread's own
 * stack, if that is known and has RECSTACK_ROOM left; else the handler has RECSTACK_BYTES
 * less what recording takes (12 KiB).  Unwinders and
 * debuggers find the way back by CFI; the shadow stack follows, since calls and
 * returns are balanced.
 */
#ifndef CGOHEAP_RECSTACK_H
#define CGOHEAP_RECSTACK_H

#include "base/arch.h"
#include "base/base.h"

#define RECSTACK_BYTES (60 * KIB) /* of each, without its guard */
#define RECSTACK_ROOM  (256 * KIB)
#define RECSTACK_COUNT 128 /* so many threads record at once, preempted ones included */

/*
 * host: the registers of the function that called recstack_run, in which it goes on.  NULL: no
 * recording stack is left and the work runs on the caller's stack, which may be 16 KiB that are
 * nearly used up: it walks no stack and does only what must not be left out.
 */
typedef void recstack_work(void *arg, const struct regs *host);

/* Maps them, the first time.  Before anything is recorded, by one thread.  -1: no memory. */
int recstack_init(void);

/*
 * Calls work(arg) on a recording stack.  False: there are none, or none is left, and
 * nothing was called.  Takes less than 100 bytes of the caller's stack, makes no
 * system call, waits for nothing.  Any thread, async-signal-safe, may nest.
 */
bool recstack_run(recstack_work *work, void *arg);

/* The same; where none is left, on the caller's stack, with host NULL: for work that must not be
 * left out as a whole. */
void recstack_run_anyhow(recstack_work *work, void *arg);

/*
 * Whether the work stays on the caller's stack where there is room: as `room` says, in bytes below
 * sp, of at least RECSTACK_ROOM.  NULL: nowhere.
 */
typedef uint64_t recstack_room(uint64_t sp);
void recstack_stay(recstack_room *room);

/* Where they lie; 0, 0: nowhere yet. */
void recstack_range(uint64_t *start, uint64_t *end);

/* In a child of fork: those that other threads of the parent were on are free. */
void recstack_after_fork_in_child(void);

#endif
