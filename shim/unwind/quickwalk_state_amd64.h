/*
 * The state of a quick walk, for quickwalk_amd64.c and quickwalk_join_amd64.c.
 *
 * Two walks alternate.  Where there is nothing to compare with, steps are walked by rows
 * (quickwalk_amd64.c) and noted down as `fresh`.  Where such a step is also one of the last walk,
 * its words are compared from there on (quickwalk_join_amd64.c); the steps up to the first
 * difference are taken over.  Addresses rise along a stack, so a walk looks for a common step only
 * when it comes to the address of the next candidate.  Each candidate that was none doubles the
 * distance to the next, so a stack that has nothing in common with the last one costs little more
 * for it.
 */
#ifndef CGOHEAP_QUICKWALK_STATE_AMD64_H
#define CGOHEAP_QUICKWALK_STATE_AMD64_H

#include "unwind/lastwalk.h"
#include "unwind/owngo.h"
#include "unwind/quickwalk.h"
#include "unwind/row_amd64.h"
#include "unwind/rows.h"

#define QUICK_NOWHERE UINT64_MAX

struct quick {
	struct saferead *memory;
	const struct last_walk *last; /* with steps to compare; or NULL */
	struct quickwalk_go *first_go;
	uint64_t top;        /* of the thread's stack */
	uint32_t generation; /* of the loaded code */

	/* Where the walk is: the next step is of the frame at `at`. */
	uint64_t at, ip, bp_at;
	struct go_cursor go;
	bool is_in_go;
	bool is_same_go; /* the cursor has the last walk's own_g, module and stack */
	bool is_one_go;  /* each way into Go was as lastwalk.h's own_g says, so far */
	uint64_t row;    /* at ip, where a walk stopped */

	/* The candidate: its address, its index, and that of the last step of its run. */
	uint64_t candidate;
	uint32_t at_last, run_end, stride;
	/* In the last walk rbp was at the first address where in this one it is at the second. */
	uint64_t bp_was_at, bp_is_at;

	/* This walk's steps that were not the last one's, and what is known of them. */
	struct rows rows;
	uint64_t tag;
	uint64_t addresses;                      /* all return addresses in C, or-ed */
	uint32_t end;                            /* enum capture_end */
	uint32_t lead;                           /* so many of the first ones are in the shim */
	uint32_t shim_end;                       /* from here on none is */
	uint32_t run_count, runs[LASTWALK_RUNS]; /* the last step of each run, the leaf's first */
	uint32_t count;
	struct steps fresh;
};

/* What a walk is to do next. */
enum go_on { QUICK_GO_ON, QUICK_AT_CANDIDATE, QUICK_DONE, QUICK_SAME, QUICK_GIVE_UP };

static inline uint64_t quick_address_of(uint64_t at)
{
	return at & ~STEP_KIND;
}

/* The candidate was none: the next is further away. */
static inline uint64_t quick_next_candidate(struct quick *q)
{
	q->at_last += q->stride;
	q->stride *= 2;
	q->candidate = q->at_last <= q->run_end ? quick_address_of(q->last->steps.at[q->at_last])
						: QUICK_NOWHERE;
	return q->candidate;
}

/* Whether the candidate is certainly not this step, which is not below it. */
static inline bool quick_is_not_it(const struct quick *q, uint64_t at, uint64_t ip)
{
	return at == q->candidate && q->last->steps.ip[q->at_last] != ip;
}

/* ---- quickwalk_amd64.c --------------------------------------------------------- */

/* quick_enter_go for any goroutine. */
int quick_enter_other(struct quick *q, uint64_t at, uint64_t ip);

/* From C at this frame into Go, noted in q->go.  -1: not a goroutine's stack. */
static inline int quick_enter_go(struct quick *q, uint64_t at, uint64_t ip)
{
	if (unlikely(owngo_enter(ip - 1, at + 16, q->top, &q->go)))
		return quick_enter_other(q, at, ip);
	if (q->first_go->g == 0)
		*q->first_go = (struct quickwalk_go){q->go.g, q->go.module, q->go.stack};
	else if (q->first_go->g != q->go.g || q->first_go->module != q->go.module)
		q->is_one_go = q->is_same_go = false;
	return 0;
}

/* Whether a frame record is on the thread's stack, where a chain may come to from a goroutine's. */
static inline bool quick_is_on_thread(const struct quick *q, uint64_t at)
{
	return at % 8 == 0 && at >= q->go.thread_stack && at <= q->top - 16 &&
	       at - q->memory->stack.start < q->memory->stack.bytes &&
	       at - q->go.stack.lo >= q->go.stack.hi - q->go.stack.lo;
}

/* ---- quickwalk_join_amd64.c ------------------------------------------------------ */

/* Begins the walk, with the first step of the last one if this is it. */
enum go_on quick_begin(struct quick *q);

/* Where the walk enters a stack: finds the steps of the last walk to look at. */
enum go_on quick_choose_run(struct quick *q);

/* The walk has come to the candidate or is above it: tries it, and chooses the next. */
enum go_on quick_try_candidate(struct quick *q);

/*
 * Keeps this walk in memory, which may be that of q->last: its steps before step from of the last
 * one.  LASTWALK_STEPS: none is taken over.
 */
void quick_keep(const struct quick *q, struct last_walk *memory, uint32_t from);

#endif
