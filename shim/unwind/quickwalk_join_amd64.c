/* See quickwalk_state_amd64.h: comparing with the last walk. */
#include <string.h>

#include "unwind/quickwalk_state_amd64.h"

/* All that a comparison needs is one function, which reads the frames of others. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))
#define INLINED   __attribute__((no_sanitize("address", "thread"), always_inline)) inline

/* ---- candidates -------------------------------------------------------- */

/* The candidate is the first step from index i of the last walk on, in its run, that is not below
 * this frame. */
static void choose_candidate(struct quick *q, uint32_t i)
{
	const struct steps *s = &q->last->steps;

	while (i <= q->run_end && quick_address_of(s->at[i]) < q->at)
		i++;
	q->candidate = i <= q->run_end ? quick_address_of(s->at[i]) : QUICK_NOWHERE;
	q->at_last = i;
}

/* Whether these steps of the last walk are on the stack where the walk is, and reach above it. */
static bool is_same_stack(const struct quick *q, uint32_t start, uint32_t end)
{
	const struct steps *s = &q->last->steps;

	if (q->is_in_go && s->bp_at[start - 1] != q->go.stack.hi)
		return false;
	if (q->is_in_go && start < end && (s->at[end] & STEP_KIND) == STEP_CROSSES)
		end--; /* crosscall2 is on the thread's stack */
	return quick_address_of(s->at[end]) >= q->at;
}

enum go_on quick_choose_run(struct quick *q)
{
	const struct last_walk *last = q->last;
	uint32_t start = last ? last->first : 0;
	bool is_go = false;

	q->candidate = QUICK_NOWHERE;
	q->stride = 1;
	for (uint32_t n = last ? last->run_count : 0; n-- > 0; is_go = !is_go) {
		q->run_end = last->runs[n];
		if (is_go == q->is_in_go && is_same_stack(q, start, q->run_end)) {
			choose_candidate(q, start);
			return q->candidate == q->at ? QUICK_AT_CANDIDATE : QUICK_GO_ON;
		}
		start = q->run_end + 1;
	}
	return QUICK_GO_ON;
}

/* ---- comparing --------------------------------------------------------- */

enum comparison { SAME, DIFFERS, GIVES_UP };

/* Whether this thread's goroutine is the one that the last walk came to, and its stack too. */
static INLINED bool is_same_goroutine(struct quick *q)
{
	const struct last_walk *last = q->last;
	struct go_stack stack;

	if (q->is_same_go)
		return true;
	if (q->first_go->g)
		return false;
	if (owngo_goroutine(last->module) != last->own_g)
		return false;
	stack = owngo_stack(last->own_g);
	if (stack.lo != last->own_lo || stack.hi != last->own_hi)
		return false;
	q->go.g = last->own_g;
	q->go.module = last->module;
	q->go.stack = stack;
	q->go.is_own = q->is_same_go = true;
	*q->first_go = (struct quickwalk_go){last->own_g, last->module, stack};
	return true;
}

/*
 * Whether step i leads into Go as it did, which is a function of this thread's goroutine and of the
 * two words that asmcgocall saved.  False: perhaps.
 */
static INLINED bool is_same_entry(struct quick *q, uint32_t i)
{
	const struct steps *s = &q->last->steps;
	uint64_t sp = quick_address_of(s->at[i]) + 16, hi = s->bp_at[i];
	uint64_t saved, to = quick_address_of(s->at[i + 1]);

	if (unlikely(!q->last->own_g || !is_same_goroutine(q)))
		return false;
	saved = sp + owngo_saved_at(q->last->module);
	if (saferead_known_word(saved) != hi - to ||
	    saferead_known_word(saved + 8) != q->last->own_g)
		return false;
	q->go.record = to;
	q->go.thread_stack = sp;
	return true;
}

/* Step i into Go or into C. */
static INLINED enum comparison compare_crossing(struct quick *q, uint32_t i)
{
	const struct steps *s = &q->last->steps;
	uint64_t at = quick_address_of(s->at[i]), to = quick_address_of(s->at[i + 1]);

	if (q->is_in_go) {
		/* That it is on the thread's stack is known, but not that the walk goes up. */
		if (at < q->go.thread_stack ||
		    at - q->go.stack.lo < q->go.stack.hi - q->go.stack.lo)
			return GIVES_UP;
		return saferead_known_word(at) + s->bp_at[i] == to ? SAME : DIFFERS;
	}
	if (likely(is_same_entry(q, i)))
		return SAME;
	if (quick_enter_go(q, at, s->ip[i]))
		return GIVES_UP;
	return q->go.record == to && q->go.stack.hi == s->bp_at[i] ? SAME : DIFFERS;
}

/* How many of the steps from here on are plain, with the return addresses that they had. */
static INLINED uint32_t compare_plain(const uint64_t *at, const uint64_t *ip)
{
#define COMPARE(k)                                                                                 \
	do {                                                                                       \
		if (unlikely(!(at[k] & STEP_PLAIN)) ||                                             \
		    unlikely(saferead_known_word(at[k] - STEP_PLAIN + 8) != ip[k]))                \
			return n + k;                                                              \
	} while (0)
	for (uint32_t n = 0;; n += 8, at += 8, ip += 8) {
		COMPARE(0);
		COMPARE(1);
		COMPARE(2);
		COMPARE(3);
		COMPARE(4);
		COMPARE(5);
		COMPARE(6);
		COMPARE(7);
	}
#undef COMPARE
}

/* The same for chained ones; from: the `at` of the frame before the first. */
static INLINED uint32_t compare_chained(uint64_t from, const uint64_t *at, const uint64_t *ip)
{
#define COMPARE(k, from, to)                                                                       \
	do {                                                                                       \
		to = saferead_known_word(from);                                                    \
		if (unlikely(to != at[k]) || unlikely(saferead_known_word(to + 8) != ip[k]))       \
			return n + k;                                                              \
	} while (0)
	for (uint32_t n = 0;; n += 8, at += 8, ip += 8) {
		uint64_t to;
		COMPARE(0, from, to);
		COMPARE(1, to, from);
		COMPARE(2, from, to);
		COMPARE(3, to, from);
		COMPARE(4, from, to);
		COMPARE(5, to, from);
		COMPARE(6, from, to);
		COMPARE(7, to, from);
	}
#undef COMPARE
}

/* Where a step leads to that was at bp_at then. */
static inline uint64_t follow_bp(const struct quick *q, uint64_t bp_at)
{
	return saferead_known_word(bp_at == q->bp_was_at ? q->bp_is_at : bp_at);
}

static inline enum comparison compare_root(const struct steps *s, uint32_t i)
{
	bool is_same =
		s->bp_at[i] != STEP_LINK || saferead_known_word(quick_address_of(s->at[i])) == 0;

	return is_same ? SAME : DIFFERS;
}

/*
 * The walk is at step *from of the last one.  Sets *from to the last step that it comes to.  What
 * is read has been compared: it is where the last walk read, which checked it.
 */
static INLINED enum comparison compare(struct quick *q, uint32_t *from)
{
	const struct steps *s = &q->last->steps;
	enum comparison result = SAME;
	uint32_t i = *from;

	for (;; i++) {
		uint64_t at = s->at[i], to;
		bool crosses = false;
		if (at & STEP_PLAIN) {
			i += compare_plain(s->at + i + 1, s->ip + i + 1);
			to = quick_address_of(s->at[i + 1]);
		} else if ((at & STEP_KIND) == STEP_CHAINED) {
			i += compare_chained(at, s->at + i + 1, s->ip + i + 1);
			to = saferead_known_word(s->at[i]);
		} else if ((at & STEP_KIND) == STEP_BY_BP) {
			to = follow_bp(q, s->bp_at[i]);
		} else if ((at & STEP_KIND) == STEP_CROSSES) {
			result = compare_crossing(q, i);
			to = quick_address_of(s->at[i + 1]);
			crosses = true;
		} else {
			*from = i;
			return compare_root(s, i);
		}
		if (unlikely(result != SAME || to != quick_address_of(s->at[i + 1]) ||
			     saferead_known_word(to + 8) != s->ip[i + 1])) {
			*from = i;
			return result == SAME ? DIFFERS : result;
		}
		q->is_in_go ^= crosses;
	}
}

/* ---- taking over and keeping --------------------------------------------- */

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Steps of the last walk that are this one's too: the first ones have rbp where it was before. */
static void correct_bp(const struct quick *q, uint64_t *bp_at, uint32_t n)
{
	if (q->bp_was_at == q->bp_is_at)
		return;
	for (uint32_t i = 0; i < n && bp_at[i] == q->bp_was_at; i++)
		bp_at[i] = q->bp_is_at;
}

static void copy_steps(struct steps *to, uint32_t at, const struct steps *from, uint32_t first,
		       uint32_t n)
{
	memcpy(to->at + at, from->at + first, n * sizeof(to->at[0]));
	memcpy(to->ip + at, from->ip + first, n * sizeof(to->ip[0]));
	memcpy(to->bp_at + at, from->bp_at + first, n * sizeof(to->bp_at[0]));
}

/* Takes over steps [from, to) of the last walk. */
static int take_over(struct quick *q, uint32_t from, uint32_t to)
{
	const struct last_walk *last = q->last;
	uint32_t n = to - from;

	if (n > LASTWALK_STEPS - q->count)
		return -1;
	copy_steps(&q->fresh, q->count, &last->steps, from, n);
	correct_bp(q, q->fresh.bp_at + q->count, n);
	for (uint32_t r = last->run_count; r-- > 0;) {
		if (last->runs[r] < from || last->runs[r] >= to)
			continue;
		if (q->run_count == LASTWALK_RUNS)
			return -1;
		q->runs[q->run_count++] = q->count + last->runs[r] - from;
	}
	if (q->lead == q->count && last->lead_end > from)
		q->lead += least(last->lead_end, to) - from;
	if (last->shim_end > from)
		q->shim_end = q->count + least(last->shim_end, to) - from;
	q->count += n;
	return 0;
}

/* The last step of each run, the root's first.  -1: too many. */
static int keep_runs(const struct quick *q, struct last_walk *memory, uint32_t from)
{
	uint32_t n = 0;

	while (from < LASTWALK_STEPS && n < memory->run_count && memory->runs[n] >= from)
		n++;
	if (n + q->run_count > LASTWALK_RUNS)
		return -1;
	for (uint32_t r = q->run_count; r-- > 0;)
		memory->runs[n++] = from - q->count + q->runs[r];
	memory->run_count = n;
	return 0;
}

void quick_keep(const struct quick *q, struct last_walk *memory, uint32_t from)
{
	bool is_joined = from < LASTWALK_STEPS;
	uint32_t first = from - q->count;

	STORE(&memory->note, 0);
	STORE(&memory->top, 0);
	/* Whoever finds what follows half written, in a forked child, finds no walk.  The kernel
	 * copies pages while each thread stands between two of its instructions, so this orders
	 * the compiler alone. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (from < q->count || keep_runs(q, memory, from))
		return;
	if (is_joined)
		correct_bp(q, memory->steps.bp_at + from, LASTWALK_STEPS - from);
	copy_steps(&memory->steps, first, &q->fresh, 0, q->count);
	if (!is_joined || q->lead < q->count)
		memory->lead_end = first + q->lead;
	else if (memory->lead_end < from)
		memory->lead_end = from;
	if (!is_joined || memory->shim_end <= from)
		memory->shim_end = first + q->shim_end;
	if (!is_joined)
		memory->end = q->end;
	memory->first = first;
	STORE_REL(&memory->top, q->top);
}

/* ---- joining the last walk ----------------------------------------------- */

/* Whether step i of the last walk is the one that this walk is at. */
static INLINED bool is_at_step(struct quick *q, uint32_t i)
{
	const struct steps *s = &q->last->steps;
	enum step_kind kind = (enum step_kind)(s->at[i] & STEP_KIND);

	if (quick_address_of(s->at[i]) != q->at || s->ip[i] != q->ip)
		return false;
	q->bp_was_at = q->bp_is_at = 0;
	if (q->is_in_go || kind == STEP_CROSSES)
		return true;
	q->bp_was_at = s->bp_at[i];
	q->bp_is_at = q->bp_at;
	return kind != STEP_CHAINED || q->bp_at == q->at;
}

/* The last walk's steps [from, to) are this one's too, and the next is another one. */
static enum go_on walk_on(struct quick *q, uint32_t from, uint32_t to)
{
	const struct last_walk *last = q->last;
	uint64_t at = last->steps.at[to], bp_at = last->steps.bp_at[to];

	if (take_over(q, from, to))
		return QUICK_GIVE_UP;
	if ((at & STEP_KIND) == STEP_CHAINED)
		bp_at = at;
	else if (bp_at == q->bp_was_at)
		bp_at = q->bp_is_at;
	q->at = quick_address_of(at);
	q->ip = last->steps.ip[to];
	q->bp_at = bp_at;
	for (uint32_t r = last->run_count; r-- > 0;) {
		q->run_end = last->runs[r];
		if (q->run_end >= to)
			break;
	}
	q->stride = 1;
	q->at_last = to;
	return QUICK_GO_ON;
}

/* The walk is at this step of the last one. */
static INLINED enum go_on join(struct quick *q, uint32_t from)
{
	enum go_on go_on = QUICK_GIVE_UP;
	uint32_t to = from;

	switch (compare(q, &to)) {
	case SAME:
		q->at_last = from;
		return QUICK_SAME;
	case GIVES_UP:
		break;
	case DIFFERS:
		go_on = walk_on(q, from, to);
		quick_next_candidate(q);
	}
	return go_on;
}

UNCHECKED enum go_on quick_begin(struct quick *q)
{
	if (likely(q->last && is_at_step(q, q->last->first)))
		return join(q, q->last->first);
	return quick_choose_run(q);
}

static __attribute__((noinline)) UNCHECKED enum go_on join_later(struct quick *q)
{
	return join(q, q->at_last);
}

enum go_on quick_try_candidate(struct quick *q)
{
	choose_candidate(q, q->at_last);
	if (q->candidate > q->at)
		return QUICK_GO_ON;
	if (is_at_step(q, q->at_last))
		return join_later(q);
	quick_next_candidate(q);
	return QUICK_GO_ON;
}
