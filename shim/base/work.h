/*
 * How long a thread of ours may be at one thing.
 *
 * What a request has to look at is the host's to make large: terabytes mapped, a
 * hundred thousand mappings or stacks, a symbol table of a gigabyte.  So every answer
 * and every look of the recorder has a budget of the thread's own processor
 * time, and every loop that can be long asks, once a step, whether it may take it.
 * One that may not leaves what it has not done out of the answer, which then says so:
 * never a figure that is wrong for it.
 *
 * The loops: account_pass (mappings, and pages of those with several owners),
 * account_claims (/proc/self/maps), account_live (blocks), glibcheap (what nobody
 * claims), glibckept (free chunks), privatealloc (symbols), gostats (goroutines, symbols),
 * profile_job (frames), symbolize and elfsym (names), profile_proto, profile_text and
 * profile_memory (samples).  All others are bounded by our own tables, or by scratch memory, to
 * some 100 ms.
 *
 * Of the calling thread, which has no budget until it begins one.
 */
#ifndef CGOHEAP_WORK_H
#define CGOHEAP_WORK_H

#include "base/base.h"

#define WORK_NS      UINT64_C(2000000000) /* an answer's */
#define WORK_MISSING "incomplete: cut off after 2 s of processor time"

void work_begin(uint64_t budget_ns); /* any earlier one ends */
void work_end(void);

/*
 * Before a step that costs about so much: false, and from then on, where the budget
 * is spent.  The clock is asked once in about a millisecond of estimates.
 */
bool work_may_go_on(uint32_t cost_ns);
/* The same for what an answer can do without: from half the budget on. */
bool work_may_go_on_first_half(uint32_t cost_ns);

/*
 * Waiting for others (the allocator, Go) costs no processor time, but who asks next waits too:
 * all of it together may last as long as the budget.  Nanoseconds that are left of ns; and how
 * many it took.
 */
uint64_t work_wait_left(uint64_t ns);
void work_waited(uint64_t ns);

/* Since the last begin: something was left out. */
bool work_was_cut(void);

/*
 * How long a thread of ours rests after what it does again and again.  By processor time too:
 * on a busy machine what costs little can last for long, and waiting for others' locks
 * is no cost.
 */
uint64_t work_cpu_ns(void); /* of the calling thread, ever */

/* Of one thing; {0}: it may be done. */
struct work_rest {
	uint64_t until_ns;
};
bool work_is_resting(const struct work_rest *rest);
/* After it took that much: a hundredth of a core at most, where it is not cheap (5 ms). */
void work_rest_after(struct work_rest *rest, uint64_t cpu_ns);
void work_rest_end(struct work_rest *rest); /* any thread */

#endif
