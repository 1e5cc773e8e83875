/* See quickwalk.h and quickwalk_state_amd64.h. */
#include "unwind/quickwalk.h"

#include <string.h>

#include "unwind/codetables.h"
#include "unwind/pcinfo.h"
#include "unwind/quickwalk_state_amd64.h"

/* In use.  So no frame is larger, and none needs to be checked for that (MAX_FRAME_BYTES). */
#define MAX_STACK_BYTES ((uint64_t)64 << 20)

enum stop {
	STOP_KIND,      /* at a row of a kind that is not walked here */
	STOP_CANDIDATE, /* at or above the candidate */
	STOP_LINK,      /* Go: at a link that leaves the stack */
	STOP_GIVE_UP,
};

/* ---- rows -------------------------------------------------------------- */

/* 0: a kind that is not walked here. */
static __attribute__((noinline)) uint64_t find_row(uint64_t ip)
{
	return rows_may_hold(ip) ? pcinfo_at(ip - 1).row : 0;
}

/* key: ip in Go; ip with the tag in C. */
static inline uint64_t row_at(const struct rows *rows, uint64_t ip, uint64_t key)
{
	uint64_t row;

	return likely(!rows_hit(*rows, ip, key, &row)) ? row : find_row(ip);
}

/* ---- walking ----------------------------------------------------------- */

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Walks C frames.  The thread's stack is readable from at to top. */
static enum stop walk_c(struct quick *q)
{
	struct rows rows = q->rows;
	struct steps *fresh = &q->fresh;
	uint64_t tag = q->tag, at = q->at, ip = q->ip, bp_at = q->bp_at, row = 0;
	uint64_t limit = least(q->candidate, q->top - 16);
	uint64_t addresses = 0;
	enum stop stop = STOP_GIVE_UP;
	size_t i = q->count;

	for (;; i++) {
		if (unlikely(i == LASTWALK_STEPS))
			break;
		row = row_at(&rows, ip, ip + tag);
		addresses |= ip;
		fresh->ip[i] = ip;
		fresh->bp_at[i] = bp_at;
		if (likely((row & ROW_FORM) == ROW_BY_SP)) {
			uint64_t saved = row_bp_bytes(row);
			fresh->at[i] = at + STEP_PLAIN;
			at += row_cfa_bytes(row);
			if (unlikely(saved))
				bp_at = at + saved + ROW_BP_AT;
		} else if (likely((row & ROW_FORM) == ROW_BY_BP)) {
			uint64_t bp = saferead_known_word(bp_at);
			fresh->at[i] = at + STEP_CHAINED;
			if (unlikely(bp_at != at))
				fresh->at[i] = at + STEP_BY_BP;
			if (unlikely(bp < at + 16 || bp % 8))
				break;
			bp_at = at = bp;
		} else {
			stop = STOP_KIND;
			break;
		}
		if (unlikely(at >= limit)) {
			if (at > q->top - 16)
				break;
			ip = saferead_known_word(at + 8);
			if (quick_is_not_it(q, at, ip)) {
				limit = least(quick_next_candidate(q), q->top - 16);
				continue;
			}
			if (at >= q->candidate) {
				i++;
				stop = STOP_CANDIDATE;
				break;
			}
		}
		ip = saferead_known_word(at + 8);
	}
	q->at = at;
	q->ip = ip;
	q->bp_at = bp_at;
	q->row = row;
	q->addresses |= addresses;
	q->count = (uint32_t)i;
	return stop;
}

/* Walks Go frames on the goroutine's stack. */
static enum stop walk_go(struct quick *q)
{
	struct rows rows = q->rows;
	struct steps *fresh = &q->fresh;
	uint64_t at = q->at, ip = q->ip, row = 0, next;
	uint64_t last = q->go.stack.hi - 16;
	uint64_t limit = least(q->candidate - 1, last);
	enum stop stop = STOP_KIND;
	size_t i = q->count;

	for (;; i++) {
		if (unlikely(i == LASTWALK_STEPS)) {
			stop = STOP_GIVE_UP;
			break;
		}
		row = row_at(&rows, ip, ip);
		fresh->ip[i] = ip;
		fresh->at[i] = at;
		if (unlikely((row & ROW_FORM) != PCINFO_GO))
			break;
		next = saferead_known_word(at);
		if (unlikely(next < at + 16 || next > limit || next % 8)) {
			stop = STOP_LINK;
			if (next < at + 16 || next > last || next % 8)
				break;
			at = next;
			ip = saferead_known_word(at + 8);
			if (quick_is_not_it(q, at, ip)) {
				limit = least(quick_next_candidate(q) - 1, last);
				continue;
			}
			i++;
			stop = STOP_CANDIDATE;
			break;
		}
		at = next;
		ip = saferead_known_word(at + 8);
	}
	q->at = at;
	q->ip = ip;
	q->row = row;
	q->count = (uint32_t)i;
	return stop;
}

/* ---- between C and Go -------------------------------------------------- */

__attribute__((noinline)) int quick_enter_other(struct quick *q, uint64_t at, uint64_t ip)
{
	const struct saferead_range *readable = &q->memory->goroutine;

	if (!unwind_go_enter(q->memory, ip - 1, at + 16, &q->go) || q->go.g == 0)
		return -1;
	/* The goroutine may not be this thread's, nor its stack known to be in Go's heap. */
	if (q->go.record % 8 || q->go.record + 16 > q->go.stack.hi ||
	    q->go.record - readable->start >= readable->bytes ||
	    readable->start + readable->bytes != q->go.stack.hi)
		return -1;
	q->is_one_go = q->is_same_go = false;
	if (q->first_go->g == 0)
		*q->first_go = (struct quickwalk_go){q->go.g, q->go.module, {0, 0}};
	return 0;
}

/* Whether crosscall2's frame pointer b, with registers saved around it, is on the thread's stack.
 */
static bool is_crosscall_frame(const struct quick *q, uint64_t b)
{
	return b % 8 == 0 && b >= q->at + 16 &&
	       b - 40 - q->memory->stack.start < q->memory->stack.bytes && b <= q->top - 24;
}

/* Adds the step that the walk is at. */
static int add_step(struct quick *q, enum step_kind kind, uint64_t bp_at)
{
	uint32_t i = q->count;

	if (i == LASTWALK_STEPS)
		return -1;
	q->fresh.at[i] = q->at + kind;
	q->fresh.ip[i] = q->ip;
	q->fresh.bp_at[i] = bp_at;
	if (kind >= STEP_CROSSES) {
		if (q->run_count == LASTWALK_RUNS)
			return -1;
		q->runs[q->run_count++] = i;
	}
	q->count++;
	return 0;
}

/* ---- the walk ---------------------------------------------------------- */

static void move(struct quick *q, uint64_t at, uint64_t bp_at)
{
	q->at = at;
	q->ip = saferead_known_word(at + 8);
	q->bp_at = bp_at;
}

/* link: STEP_LINK or 0. */
static enum go_on finish(struct quick *q, uint32_t end, uint64_t link)
{
	q->end = end;
	return add_step(q, STEP_ROOT, link) ? QUICK_GIVE_UP : QUICK_DONE;
}

static enum go_on cross_to_go(struct quick *q)
{
	if (quick_enter_go(q, q->at, q->ip) || add_step(q, STEP_CROSSES, q->go.stack.hi))
		return QUICK_GIVE_UP;
	move(q, q->go.record, 0);
	q->is_in_go = true;
	return quick_choose_run(q);
}

static enum go_on cross_to_c(struct quick *q)
{
	const struct gomodule *module = gomodules_at(q->ip - 1);
	uint64_t b = saferead_known_word(q->at);
	uint64_t to = goframes_crosscall_bp(b, module && owngo_is_1_21(module));

	if (!is_crosscall_frame(q, b) || add_step(q, STEP_CROSSES, to - b))
		return QUICK_GIVE_UP;
	move(q, to, to);
	q->is_in_go = false;
	return quick_choose_run(q);
}

/* The step that the walk is at is in the shim. */
static void note_shim(struct quick *q)
{
	if (q->lead == q->count)
		q->lead++;
	q->shim_end = q->count + 1;
}

/* A C frame in the shim: another form of row, so that only these are looked at more closely. */
static enum go_on step_in_shim(struct quick *q)
{
	uint64_t at = q->at, bp_at = q->bp_at, saved = row_bp_bytes(q->row);

	if ((q->row & ROW_FORM) != (ROW_BY_SP | ROW_IN_SHIM))
		return QUICK_GIVE_UP;
	uint64_t to = at + row_cfa_bytes(q->row);
	note_shim(q);
	if (to > q->top - 16 || add_step(q, STEP_PLAIN, bp_at))
		return QUICK_GIVE_UP;
	move(q, to, saved ? to + saved + ROW_BP_AT : bp_at);
	return to >= q->candidate ? QUICK_AT_CANDIDATE : QUICK_GO_ON;
}

static enum go_on at_kind_in_c(struct quick *q)
{
	if (q->ip == 0)
		return finish(q, CAPTURE_COMPLETE_THREAD, 0);
	switch (row_kind(q->row)) {
	case PCINFO_C:
		return step_in_shim(q);
	case PCINFO_C_ROOT:
		if (q->row & ROW_IN_SHIM)
			note_shim(q);
		return finish(q, CAPTURE_COMPLETE_THREAD, 0);
	case PCINFO_ASMCGOCALL:
		return cross_to_go(q);
	default:
		return QUICK_GIVE_UP;
	}
}

static enum go_on at_kind_in_go(struct quick *q)
{
	if (row_kind(q->row) == PCINFO_GO_ROOT)
		return finish(q, CAPTURE_COMPLETE_GO, 0);
	return QUICK_GIVE_UP;
}

/* The chain ends, or goes on at crosscall2 on the thread's stack. */
static enum go_on at_link(struct quick *q)
{
	uint64_t next = saferead_known_word(q->at);

	if (next == 0)
		return finish(q, CAPTURE_COMPLETE_GO, STEP_LINK);
	if (!quick_is_on_thread(q, next) || add_step(q, STEP_CHAINED, 0))
		return QUICK_GIVE_UP;
	move(q, next, 0);
	if (row_kind(row_at(&q->rows, q->ip, q->ip)) != PCINFO_CROSSCALL2)
		return QUICK_GIVE_UP;
	return cross_to_c(q);
}

static enum go_on walk(struct quick *q)
{
	enum stop stop = q->is_in_go ? walk_go(q) : walk_c(q);

	switch (stop) {
	case STOP_KIND:
		return q->is_in_go ? at_kind_in_go(q) : at_kind_in_c(q);
	case STOP_CANDIDATE:
		return QUICK_AT_CANDIDATE;
	case STOP_LINK:
		return at_link(q);
	case STOP_GIVE_UP:
		break;
	}
	return QUICK_GIVE_UP;
}

/* ---- the result -------------------------------------------------------- */

/* Steps [from, to) without those in the shim; is_mixed: there are some. */
static uint32_t put_frames(const uint64_t *ip, uint32_t from, uint32_t to, bool is_mixed,
			   uint64_t *frames)
{
	uint32_t count = 0;

	if (from >= to)
		return 0;
	if (likely(!is_mixed)) {
		memcpy(frames, ip + from, (to - from) * sizeof(*ip));
		return to - from;
	}
	for (uint32_t i = from; i < to; i++)
		if (!pcinfo_is_in_shim(ip[i]))
			frames[count++] = ip[i];
	return count;
}

/* The frames of the steps taken over from the last walk, from this one on.  is_lead: only steps in
 * the shim came before. */
static uint32_t put_unchanged(const struct last_walk *last, uint32_t from, bool is_lead,
			      uint64_t *frames)
{
	if (is_lead && last->lead_end > from)
		from = last->lead_end;
	return put_frames(last->steps.ip, from, LASTWALK_STEPS, last->shim_end > from, frames);
}

/* The rest of c, whose frames are there. */
static void finish_capture(struct capture *c, uint32_t unchanged, uint32_t end)
{
	c->unchanged = unchanged;
	/* A thread's first function may have been called with no return address. */
	if (c->frames[c->count - 1] == 0) {
		c->count--;
		c->unchanged -= unchanged != 0;
	}
	c->end = end;
	c->omitted_at = 0;
}

void quickwalk_put(struct capture *c, const struct last_walk *last, uint64_t leaf)
{
	uint32_t count = put_unchanged(last, last->first, true, c->frames + 1);

	c->frames[0] = leaf + 1;
	c->count = 1 + count;
	finish_capture(c, count, last->end);
}

/* from: the first step of the last walk that is this one's too. */
static int put_capture(const struct quick *q, struct capture *c, uint64_t leaf, uint32_t from)
{
	bool is_joined = from < LASTWALK_STEPS;
	uint32_t unchanged = 0;

	if (q->count + LASTWALK_STEPS - from >= CAPTURE_MAX_FRAMES)
		return -1;
	c->frames[0] = leaf + 1;
	c->count = 1 +
		   put_frames(q->fresh.ip, q->lead, q->count, q->shim_end > q->lead, c->frames + 1);
	if (is_joined)
		unchanged = put_unchanged(q->last, from, q->lead == q->count, c->frames + c->count);
	c->count += unchanged;
	finish_capture(c, unchanged, is_joined ? q->last->end : q->end);
	return 0;
}

static void keep_go(const struct quick *q, struct last_walk *memory)
{
	memory->module = q->go.module;
	memory->own_g = q->is_one_go ? q->first_go->g : 0;
	memory->own_lo = q->go.stack.lo;
	memory->own_hi = q->go.stack.hi;
}

/* Where not all is as it was. */
static __attribute__((noinline)) enum quickwalk walk_changed(struct quick *q, enum go_on go_on,
							     struct capture *c, uint64_t leaf,
							     struct last_walk *memory)
{
	uint32_t from = LASTWALK_STEPS;
	uint64_t changes = rows_changes();

	q->rows = rows_open();
	q->tag = rows_tag(q->generation);
	q->addresses = 0;
	while (go_on <= QUICK_AT_CANDIDATE)
		go_on = go_on == QUICK_AT_CANDIDATE ? quick_try_candidate(q) : walk(q);
	if (go_on == QUICK_SAME)
		from = q->at_last;
	if (go_on == QUICK_GIVE_UP || q->addresses >> ROWS_ADDRESS_BITS ||
	    rows_changes() != changes || put_capture(q, c, leaf, from))
		return QUICKWALK_NOT;
	if (memory) {
		memory->generation = q->generation;
		keep_go(q, memory);
		quick_keep(q, memory, from);
	}
	return QUICKWALK_DONE;
}

enum quickwalk quickwalk(struct capture *c, struct saferead *memory, const struct regs *regs,
			 uint64_t leaf, struct last_walk *last, struct quickwalk_go *go)
{
	uint64_t top = memory->stack.start + memory->stack.bytes;
	enum go_on go_on;
	struct quick q;

	if (unlikely(!memory->top_is_known || regs->sp % 8 || memory->stack.bytes < 64 ||
		     memory->stack.bytes > MAX_STACK_BYTES))
		return QUICKWALK_NOT;
	q.memory = memory;
	q.last = last;
	q.generation = codetables_generation();
	if (unlikely(!last || last->top != top || last->generation != q.generation))
		q.last = NULL;
	q.first_go = go;
	q.top = top;
	q.at = regs->sp - 16;
	q.ip = regs->ip;
	q.bp_at = (uint64_t)&regs->bp;
	q.is_in_go = q.go.is_own = q.is_same_go = false;
	q.is_one_go = true;
	q.go.module = last ? last->module : NULL;
	q.lead = q.shim_end = q.run_count = q.count = 0;
	go_on = quick_begin(&q);
	if (likely(go_on == QUICK_SAME))
		return QUICKWALK_SAME;
	return walk_changed(&q, go_on, c, leaf, last);
}
