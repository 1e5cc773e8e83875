/*
 * Time limits for the shim's threads.
 *
 * The host decides how much a request has to examine: terabytes of mappings, a hundred
 * thousand mappings or stacks, a symbol table of a gigabyte.  So every answer and every
 * pass of the recorder has a budget of the thread's CPU time, and every loop that can be
 * long asks before each step whether it may continue.  If not, it leaves the rest out,
 * and the answer says that it is incomplete.  Its figures stay correct.
 *
 * The loops: account_pass (mappings, and pages of those with several owners),
 * account_claims (/proc/self/maps), account_live (blocks), glibcheap (unclaimed
 * memory), glibckept (free chunks), privatealloc (symbols), gostats (goroutines, symbols),
 * profile_job (frames), symbolize and elfsym (names), profile_proto, profile_text and
 * profile_memory (samples).  The size of our own tables or of scratch memory limits all
 * others to about 100 ms.
 *
 * A budget belongs to the calling thread.  A thread without one is not limited.
 */
#ifndef CGOHEAP_WORK_H
#define CGOHEAP_WORK_H

#include "base/base.h"

#define WORK_NS      UINT64_C(2000000000) /* the budget of an answer */
#define WORK_MISSING "incomplete: cut off after 2 s of processor time"

void work_begin(uint64_t budget_ns); /* replaces an earlier budget */
void work_end(void);

/*
 * Call before a step that costs about cost_ns.  Returns false once the budget is spent.
 * Reads the clock about once per millisecond of estimated cost.
 */
bool work_may_go_on(uint32_t cost_ns);
/* The same for optional parts of an answer: they may use half the budget. */
bool work_may_go_on_first_half(uint32_t cost_ns);

/*
 * Waiting for others (the allocator, Go) costs no CPU time, but it delays the next request,
 * so all waits together may last as long as the budget.  work_wait_left returns how many of
 * ns nanoseconds may still be waited; work_waited records a wait.
 */
uint64_t work_wait_left(uint64_t ns);
void work_waited(uint64_t ns);

/* Whether anything was left out since the last work_begin. */
bool work_was_cut(void);

/*
 * Rests between repetitions of the same work by a shim thread.  Their length follows CPU
 * time, because on a busy machine cheap work can take long, and waiting for locks costs
 * nothing.
 */
uint64_t work_cpu_ns(void); /* of the calling thread, since its start */

/* One per kind of work; {0}: not resting. */
struct work_rest {
	uint64_t until_ns;
};
bool work_is_resting(const struct work_rest *rest);
/* After work that took cpu_ns.  If that exceeds 5 ms, rest so long that it uses 1 % of a core. */
void work_rest_after(struct work_rest *rest, uint64_t cpu_ns);
void work_rest_end(struct work_rest *rest); /* any thread */

#endif
