/* See capture.h. */
#include "unwind/capture.h"

#include <link.h>
#include <string.h>

#include "base/ascii.h"
#include "go/gosym.h"
#include "unwind/checkwalks.h"
#include "unwind/golabels.h"
#include "unwind/lastwalk.h"
#include "unwind/quickwalk.h"
#include "unwind/saferead.h"
#include "unwind/codetables.h"
#include "unwind/signalframe.h"
#include "unwind/unwind_c.h"
#include "unwind/unwind_go.h"

#define MAX_WALK       8192 /* a deeper stack is cut */
#define MAX_SIGNALS    4    /* signal frames: each may move the stack pointer anywhere */
#define CAPTURE_LEAVES (CAPTURE_MAX_FRAMES - CAPTURE_ROOT_FRAMES)

static const char *const end_names[CAPTURE_END_COUNT] = {
	[CAPTURE_COMPLETE_GO] = "complete_go",
	[CAPTURE_COMPLETE_THREAD] = "complete_thread",
	[CAPTURE_TOO_DEEP] = "too_deep",
	[CAPTURE_NO_CFI] = "no_cfi",
	[CAPTURE_BAD_CFI] = "bad_cfi",
	[CAPTURE_BAD_STACK] = "bad_stack",
	[CAPTURE_BAD_CROSSING] = "bad_crossing",
	[CAPTURE_BAD_GO] = "bad_go",
	[CAPTURE_UNWINDER] = "unwinder",
	[CAPTURE_SKIPPED] = "skipped",
	[CAPTURE_GAP] = "gap",
	[CAPTURE_NO_ROOM] = "no_room",
	[CAPTURE_RECLAIMED] = "reclaimed",
};

const char *capture_end_name(uint32_t end)
{
	return end < CAPTURE_END_COUNT ? end_names[end] : "unknown";
}

static capture_labels *keep_labels;

void capture_init(capture_labels *keep)
{
	keep_labels = keep;
	saferead_start();
	loaded_init();
}

/* A walk in progress. */
struct walk {
	struct capture *out;
	struct saferead memory;
	uint32_t total; /* frames so far; out holds the first and the last of them */
	uint32_t gap;   /* index of the first frame after one that was skipped; 0 none */
	uint32_t signals;
	struct regs regs; /* while in C */
	bool exact;       /* regs.ip is an interrupted instruction */
	struct go_cursor go;
	uint64_t goroutine;            /* the innermost; 0: none yet */
	uint64_t labels;               /* its g.labels */
	const struct gomodule *module; /* its runtime's */
};

static void keep_frame(struct walk *w, uint64_t ip)
{
	uint32_t at = w->total++;

	if (at >= CAPTURE_MAX_FRAMES)
		at = CAPTURE_LEAVES + (at - CAPTURE_LEAVES) % CAPTURE_ROOT_FRAMES;
	w->out->frames[at] = ip;
}

/* Rotates the ring of the last frames into order, after the first ones. */
static void order_frames(struct walk *w)
{
	uint64_t ring[CAPTURE_ROOT_FRAMES];
	uint64_t *roots = w->out->frames + CAPTURE_LEAVES;
	uint32_t oldest = (w->total - CAPTURE_LEAVES) % CAPTURE_ROOT_FRAMES;

	if (w->total <= CAPTURE_MAX_FRAMES) {
		w->out->count = w->total;
		w->out->omitted_at = w->gap;
		return;
	}
	memcpy(ring, roots, sizeof(ring));
	for (uint32_t i = 0; i < CAPTURE_ROOT_FRAMES; i++)
		roots[i] = ring[(oldest + i) % CAPTURE_ROOT_FRAMES];
	w->out->count = CAPTURE_MAX_FRAMES;
	w->out->omitted_at = CAPTURE_LEAVES;
}

enum side { SIDE_C, SIDE_GO, SIDE_DONE };

static enum side finish(struct walk *w, uint32_t end)
{
	w->out->end = end;
	return SIDE_DONE;
}

/* Skips C code that cannot be stepped, to the asmcgocall that called it; else ends the stack. */
static enum side search_go(struct walk *w, uint32_t otherwise, bool leaves_gap)
{
	uint64_t pc;

	if (!unwind_go_search(&w->memory, w->regs.sp, &w->go, &pc))
		return finish(w, otherwise);
	if (leaves_gap && w->gap == 0)
		w->gap = w->total;
	keep_frame(w, pc);
	return SIDE_GO;
}

/* Code that cgo made, and of runtime/cgo: asmcgocall calls it, or the glue that does is of no
 * interest. */
static bool is_glue(uint64_t pc)
{
	struct gosym_func f;

	return !gosym_find(pc, &f) || ascii_begins(f.name, "_cgo_") ||
	       ascii_begins(f.name, "x_cgo_") || ascii_begins(f.name, "threadentry");
}

static enum side step_c(struct walk *w)
{
	uint64_t pc = w->regs.ip - (w->exact ? 0 : 1);
	uint64_t sp = w->regs.sp;

	if (w->regs.ip == 0)
		return finish(w, CAPTURE_COMPLETE_THREAD);
	struct pcinfo info = pcinfo_at(pc);
	if (info.kind == PCINFO_C_NO_CFI && signalframe_is_at(&w->memory, sp))
		info.kind = PCINFO_C_SIGNAL;
	if (!(info.row & ROW_IN_SHIM))
		keep_frame(w, pc + 1);
	switch (info.kind) {
	case PCINFO_ASMCGOCALL:
		if (unwind_go_enter(&w->memory, pc, sp, &w->go))
			return SIDE_GO;
		return finish(w, CAPTURE_BAD_CROSSING);
	case PCINFO_C_IN_GO:
		return search_go(w, CAPTURE_NO_CFI, !is_glue(pc));
	case PCINFO_CALLBACKASM:
		if (unwind_go_callback(&w->memory, &w->regs))
			return SIDE_C;
		return finish(w, CAPTURE_BAD_CROSSING);
	case PCINFO_GO:
	case PCINFO_GO_SWITCH:
	case PCINFO_CROSSCALL2:
		unwind_go_enter_at(pc, w->regs.bp, sp, &w->go);
		return SIDE_GO;
	case PCINFO_GO_ROOT:
		return finish(w, CAPTURE_COMPLETE_GO);
	case PCINFO_C_ROOT:
		return finish(w, CAPTURE_COMPLETE_THREAD);
	case PCINFO_C_SIGNAL:
		if (++w->signals > MAX_SIGNALS)
			return finish(w, CAPTURE_BAD_STACK);
		break;
	default:
		break;
	}
	int failure = unwind_c_step(&w->memory, &info, &w->regs, &w->exact);
	return failure ? search_go(w, (uint32_t)failure, true) : SIDE_C;
}

static enum side step_go(struct walk *w)
{
	uint64_t pc;

	if (w->goroutine == 0 && w->go.g != 0) {
		w->goroutine = w->go.g;
		w->module = w->go.module;
		w->labels = w->go.is_own ? golabels_of_own(w->module, w->goroutine)
					 : golabels_of(&w->memory, w->module, w->goroutine);
	}
	if (w->go.record == 0)
		return finish(w, CAPTURE_COMPLETE_GO);
	switch (unwind_go_step(&w->memory, &w->go, &pc, &w->regs)) {
	case GO_STEP_FRAME:
		keep_frame(w, pc);
		return SIDE_GO;
	case GO_STEP_ROOT:
		keep_frame(w, pc);
		return finish(w, CAPTURE_COMPLETE_GO);
	case GO_STEP_CROSSCALL:
		keep_frame(w, pc);
		w->exact = false;
		return SIDE_C;
	case GO_STEP_BAD:
		break;
	}
	return finish(w, CAPTURE_BAD_GO);
}

/* Labels of the innermost goroutine, which is blocked meanwhile. */
static uint32_t intern_labels(struct saferead *memory, const struct gomodule *module,
			      uint64_t address)
{
	struct golabels labels;

	if (likely(!address))
		return 0;
	switch (golabels_read(memory, module, address, &labels)) {
	case GOLABELS_READ:
		return keep_labels(&labels);
	case GOLABELS_BAD:
		return keep_labels(NULL);
	case GOLABELS_NONE:
		break;
	}
	return 0;
}

/* Walks step by step.  with_labels: also interns the goroutine's. */
static __attribute__((noinline)) void walk_all(struct capture *c, const struct regs *regs,
					       uint64_t leaf, bool with_labels)
{
	struct saferead_copy copies[SAFEREAD_COPIES]; /* filled on demand */
	struct walk w = {.out = c, .regs = *regs};
	enum side side = SIDE_C;

	saferead_init(&w.memory, regs->sp, copies);
	c->end = CAPTURE_TOO_DEEP;
	keep_frame(&w, leaf + 1);
	for (unsigned i = 0; i < MAX_WALK && side != SIDE_DONE; i++)
		side = side == SIDE_C ? step_c(&w) : step_go(&w);
	order_frames(&w);
	if (w.gap && capture_end_is_complete(c->end))
		c->end = CAPTURE_GAP;
	c->labels = with_labels ? intern_labels(&w.memory, w.module, w.labels) : 0;
	c->unchanged = 0;
	c->memory = NULL;
	c->note = 0;
	c->is_left_out = false;
}

/* Notes what is remembered of this capture, which is last's now. */
static void remember(struct capture *c, struct last_walk *last, uint64_t leaf)
{
	if (unlikely(last->leaf != leaf || last->labels != c->labels)) {
		STORE(&last->note, 0);
		__atomic_signal_fence(__ATOMIC_SEQ_CST); /* as in quick_keep */
		STORE(&last->leaf, leaf);
		STORE(&last->labels, c->labels);
	}
	c->memory = last;
	c->serial = ++last->serial;
	c->note = last->note;
}

static uint32_t labels_of(struct saferead *memory, const struct quickwalk_go *go)
{
	uint64_t labels;

	if (!go->g)
		return 0;
	if (unlikely(!go->own_stack.hi))
		return intern_labels(memory, go->module, golabels_of(memory, go->module, go->g));
	labels = golabels_of_own(go->module, go->g);
	if (likely(!labels))
		return 0;
	saferead_on_own_goroutine(memory, go->own_stack.lo, go->own_stack.hi);
	return intern_labels(memory, go->module, labels);
}

/* -1: not walked. Two callers, and a call would cost more than all else in it. */
static inline __attribute__((always_inline)) int walk_quickly(struct capture *c,
							      const struct regs *regs,
							      uint64_t leaf, struct last_walk *last)
{
	struct quickwalk_go go = {0};
	struct saferead memory;
	enum quickwalk walked;

	saferead_init(&memory, regs->sp, NULL);
	walked = quickwalk(c, &memory, regs, leaf, last, &go);
	if (walked == QUICKWALK_NOT)
		return -1;
	c->labels = labels_of(&memory, &go);
	c->memory = NULL;
	c->note = 0;
	c->is_left_out = false;
	if (last)
		remember(c, last, leaf);
	if (walked == QUICKWALK_SAME) {
		c->end = last->end;
		c->is_left_out = true;
	}
	return 0;
}

#ifdef CGOHEAP_CHECK_WALKS

/* Code that was unloaded meanwhile, by another thread, has no rows.  Labels are counted as they are
 * interned, so once. */
static __attribute__((noinline)) void check(const struct capture *c, const struct regs *regs,
					    uint64_t leaf, uint32_t generation)
{
	struct capture all, filled = *c;

	if (c->is_left_out)
		quickwalk_put(&filled, c->memory, leaf);
	walk_all(&all, regs, leaf, false);
	if (all.end != CAPTURE_UNWINDER && codetables_generation() == generation)
		checkwalks_compare(&filled, &all);
}

static int walk_and_check(struct capture *c, const struct regs *regs, uint64_t leaf,
			  struct last_walk *last)
{
	uint32_t generation = codetables_generation();

	if (walk_quickly(c, regs, leaf, last))
		return -1;
	check(c, regs, leaf, generation);
	return 0;
}
#define walk_quickly walk_and_check

#endif

void capture_noted(struct capture *c, const struct regs *regs, uint64_t leaf)
{
	struct last_walk *last = lastwalk_take();

	if (unlikely(walk_quickly(c, regs, leaf, last))) {
		if (last)
			lastwalk_give(last);
		walk_all(c, regs, leaf, true);
		return;
	}
	if (unlikely(!c->is_left_out)) {
		if (last)
			lastwalk_give(last);
	} else if (unlikely(!c->note)) {
		capture_fill(c);
	}
}

void capture_apart(struct capture *c, const struct regs *regs, uint64_t leaf)
{
	if (unlikely(walk_quickly(c, regs, leaf, NULL)))
		walk_all(c, regs, leaf, true);
}

void capture_fill(struct capture *c)
{
	if (!c->is_left_out)
		return;
	quickwalk_put(c, c->memory, c->memory->leaf);
	c->is_left_out = false;
	lastwalk_give(c->memory);
}

void capture_leave(const struct capture *c)
{
	if (c->is_left_out)
		lastwalk_give(c->memory);
}

void capture_stack(struct capture *c, const struct regs *regs, uint64_t leaf)
{
	capture_noted(c, regs, leaf);
	capture_fill(c);
}
