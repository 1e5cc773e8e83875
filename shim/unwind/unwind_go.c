/* See unwind_go.h. */
#include "unwind/unwind_go.h"

#include <string.h>

#include "go/gomodules.h"
#include "go/gosym.h"
#include "unwind/goframes.h"
#include "unwind/owngo.h"
#include "unwind/pcinfo.h"

#define MAX_THREAD_STACK ((uint64_t)1 << 30)
#define MAX_SEARCH_WORDS 8192 /* 64 KiB of thread stack */
#define MAX_TLS_BYTES    (1 * MIB)
#define MAX_G_SEARCHES   64

/* ---- the goroutine of a thread ------------------------------------------- */

static int read_stack(struct saferead *memory, uint64_t g, struct go_stack *stack)
{
	bool is_read = saferead_read(memory, g + G_STACK_LO, &stack->lo) &&
		       saferead_read(memory, g + G_STACK_HI, &stack->hi);

	return is_read && owngo_is_possible(*stack) ? 0 : -1;
}

/* A word is a g if the g0 and the current goroutine of its m have the same m. */
static int read_current(struct saferead *memory, uint64_t g, struct go_cursor *c)
{
	uint64_t m, g0, m_of_g0, curg, m_of_curg;
	bool is_read = saferead_read(memory, g + G_M, &m) && saferead_read(memory, m + M_G0, &g0) &&
		       saferead_read(memory, g0 + G_M, &m_of_g0) && m_of_g0 == m &&
		       saferead_read(memory, m + owngo_curg_at(c->module), &curg) &&
		       saferead_read(memory, curg + G_M, &m_of_curg) && m_of_curg == m &&
		       read_stack(memory, curg, &c->stack) == 0 && curg != 0;

	if (is_read)
		c->g = curg;
	return is_read ? 0 : -1;
}

static int read_own_stack(struct saferead *memory, uint64_t g, struct go_stack *stack)
{
	*stack = owngo_stack(g);
	if (!owngo_is_possible(*stack))
		return -1;
	saferead_on_own_goroutine(memory, stack->lo, stack->hi);
	return 0;
}

/*
 * The offset from the thread pointer (arch_tls_at) at which this program keeps g.  Found once, by
 * searching static TLS, the executable's first, for a word that is a g with a goroutine.
 * 0: not found; after a few threads the search is given up.
 */
static uint64_t find_g_offset(struct saferead *memory, struct go_cursor *c)
{
	static uint32_t searches;
	uint64_t bytes = saferead_tls_bytes(), g;

	if (ADD(&searches, 1) >= MAX_G_SEARCHES)
		return 0;
	if (bytes > MAX_TLS_BYTES)
		bytes = MAX_TLS_BYTES;
	for (uint64_t at = ARCH_TLS_FIRST; at < ARCH_TLS_FIRST + bytes; at += 8)
		if (saferead_read(memory, arch_tls_at(at), &g) && g != 0 &&
		    read_current(memory, g, c) == 0)
			return at;
	return 0;
}

/* The same for a program, where only the linker knew the offset. */
static bool current_of_program(struct saferead *memory, struct go_cursor *c)
{
	static uint64_t g_offset;
	uint64_t at = LOAD(&g_offset), g;

	if (at != 0)
		return saferead_read(memory, arch_tls_at(at), &g) &&
		       read_current(memory, g, c) == 0;
	at = find_g_offset(memory, c);
	if (at != 0)
		STORE(&g_offset, at);
	return at != 0;
}

/*
 * The goroutine of this thread, and its stack, while the thread is on its g0: systemstack
 * links the two chains.
 */
static bool current_goroutine(struct saferead *memory, struct go_cursor *c)
{
	const struct gomodule *module = c->module;
	uint64_t g = owngo_goroutine(module);

	if (g && read_own_stack(memory, g, &c->stack) == 0) {
		c->g = g;
		c->is_own = true;
		return true;
	}
	for (uint32_t i = 0; i < module->tls_count; i++) {
		/* Every thread has this word: the module's code reads it unchecked. */
		g = LOAD((const uint64_t *)(arch_tls_at(module->tls[i] & ~7ul)));
		if (g != 0 && read_current(memory, g, c) == 0)
			return saferead_on_goroutine(memory, c->stack.lo, c->stack.hi);
	}
	return module->tls_count == 0 && current_of_program(memory, c) &&
	       saferead_on_goroutine(memory, c->stack.lo, c->stack.hi);
}

/* ---- from C to Go ------------------------------------------------------ */

static bool on_goroutine(const struct go_cursor *c, uint64_t record)
{
	return record >= c->stack.lo && record + 16 <= c->stack.hi;
}

/* The call came from a user goroutine: the record is at its stack's top minus the saved depth. */
static bool enter_goroutine(struct saferead *memory, uint64_t g, uint64_t depth,
			    struct go_cursor *out)
{
	out->is_own = g == owngo_goroutine(out->module);
	if (out->is_own) {
		if (read_own_stack(memory, g, &out->stack))
			return false;
	} else {
		if (read_stack(memory, g, &out->stack))
			return false;
		saferead_on_goroutine(memory, out->stack.lo, out->stack.hi);
	}
	if (depth >= out->stack.hi - out->stack.lo)
		return false;
	out->g = g;
	out->record = out->stack.hi - depth - GOFRAMES_RECORD_BELOW;
	return true;
}

/*
 * Whether the walk, which is at from, can come to the crossing at c.  A search also finds what
 * earlier calls left behind on the stack; asmcgocall keeps its caller's stack pointer in g.sched,
 * and outer crossings are further up.
 */
static bool is_in_order(struct saferead *memory, const struct go_cursor *c,
			const struct go_cursor *from)
{
	uint64_t sp;

	if (c->g == 0)
		return c->record > c->thread_stack;
	if (c->g == from->g)
		return !on_goroutine(from, from->record) || c->record > from->record;
	if (from->g != 0)
		return true;
	if (c->is_own)
		sp = saferead_known_word(c->g + G_SCHED_SP);
	else if (!saferead_read(memory, c->g + G_SCHED_SP, &sp))
		return false;
	return sp == c->record + GOFRAMES_RECORD_BELOW;
}

/* Whether the cursor's frame was called from Go code. */
static bool is_called_by_go(struct saferead *memory, const struct go_cursor *c)
{
	uint64_t return_pc;

	return saferead_read(memory, c->record + 8, &return_pc) && gosym_in_text(return_pc - 1);
}

bool unwind_go_enter(struct saferead *memory, uint64_t pc, uint64_t sp, struct go_cursor *out)
{
	uint64_t first, g;

	unwind_go_enter_at(pc, 0, sp, out);
	if (!out->module)
		return false;
	uint64_t saved = sp + owngo_saved_at(out->module);
	if (!saferead_read(memory, saved + GOFRAMES_DEPTH_AT, &first) ||
	    !saferead_read(memory, saved + GOFRAMES_G_AT, &g))
		return false;
	if (g == 0)
		out->record = first - GOFRAMES_RECORD_BELOW; /* already on the thread's stack: the
								old stack pointer */
	else if (!enter_goroutine(memory, g, first, out))
		return false;
	return is_called_by_go(memory, out);
}

/* runtime.callCgoMmap calls C directly.  sp: above the return address. */
static bool enter_from_mmap(struct saferead *memory, uint64_t pc, uint64_t sp,
			    struct go_cursor *out)
{
	struct gosym_func f;
	uint64_t record;

	if (!gosym_find(pc, &f) || strcmp(f.name, "runtime.callCgoMmap") != 0 ||
	    (record = goframes_mmap_record(memory, sp)) == 0)
		return false;
	unwind_go_enter_at(pc, record, sp, out);
	return is_called_by_go(memory, out);
}

/* The C function that returns to pc in asmcgocall has its return address below this. */
static bool is_entered_above(struct saferead *memory, uint64_t pc, uint64_t sp,
			     const struct go_cursor *from, struct go_cursor *out)
{
	sp = ALIGN_UP(sp, UINT64_C(16));
	for (unsigned i = 0; i < GOFRAMES_SEARCHED && saferead_is_stack(memory, sp); i++, sp += 16)
		if (unwind_go_enter(memory, pc, sp, out) && is_in_order(memory, out, from))
			return true;
	return false;
}

/* The root that calls C itself. */
static bool enter_from_start(uint64_t pc, uint64_t sp, struct go_cursor *out)
{
	struct gosym_func f;

	unwind_go_enter_at(pc, 0, sp, out);
	return gosym_find(pc, &f) && strcmp(f.name, "runtime.rt0_go") == 0;
}

/* Whether Go called C at pc, a return address which is in the word below sp. */
static bool is_crossing(struct saferead *memory, uint64_t pc, uint64_t sp,
			const struct go_cursor *from, struct go_cursor *out)
{
	switch (pcinfo_at(pc - 1).kind) {
	case PCINFO_ASMCGOCALL:
		return is_entered_above(memory, pc - 1, sp, from, out);
	case PCINFO_GO:
		return enter_from_mmap(memory, pc - 1, sp, out);
	case PCINFO_GO_ROOT:
		return enter_from_start(pc - 1, sp, out);
	default:
		return false;
	}
}

/* What comes from a goroutine is_in_order knows; the thread's own are taken if there is no other.
 */
bool unwind_go_search(struct saferead *memory, uint64_t sp, struct go_cursor *out, uint64_t *pc)
{
	struct go_cursor found, first;
	uint64_t first_pc = 0;

	for (unsigned i = 0; i < MAX_SEARCH_WORDS; i++, sp += 8) {
		if (!saferead_is_stack(memory, sp) || !saferead_read(memory, sp, pc))
			break;
		if (!gosym_in_text(*pc - 1) || !is_crossing(memory, *pc, sp + 8, out, &found))
			continue;
		if (found.g != 0) {
			*out = found;
			return true;
		}
		if (first_pc == 0) {
			first = found;
			first_pc = *pc;
		}
	}
	if (first_pc == 0)
		return false;
	*out = first;
	*pc = first_pc;
	return true;
}

void unwind_go_enter_at(uint64_t pc, uint64_t record, uint64_t sp, struct go_cursor *out)
{
	*out = (struct go_cursor){.record = record, .thread_stack = sp, .module = gomodules_at(pc)};
}

/* ---- Go frames --------------------------------------------------------- */

static bool on_thread(const struct go_cursor *c, uint64_t record)
{
	return record >= c->thread_stack && record - c->thread_stack < MAX_THREAD_STACK;
}

/*
 * Whether the chain may continue at next: further up the same stack, or on the other of
 * this walk's two stacks.  It must not go in circles.
 */
static bool may_follow(struct saferead *memory, struct go_cursor *c, uint64_t next)
{
	if (on_goroutine(c, c->record) && on_goroutine(c, next))
		return next > c->record;
	if (on_goroutine(c, next))
		return true;
	if (on_thread(c, next) && (on_goroutine(c, c->record) || next > c->record))
		return true;
	/* From g0 to a goroutine not seen yet (systemstack). */
	return c->stack.hi == 0 && current_goroutine(memory, c) && on_goroutine(c, next);
}

/* Finds the record to follow on the goroutine's stack, where the chain lacks it. */
static int switched_from(struct saferead *memory, struct go_cursor *c, uint64_t *next)
{
	uint64_t at = goframes_switched_bp(c->module->minor);

	if (!at)
		return 0;
	if (c->stack.hi == 0 && !current_goroutine(memory, c))
		return -1;
	return c->g && saferead_read(memory, c->g + at, next) ? 0 : -1;
}

static bool is_1_21_at(uint64_t pc)
{
	const struct gomodule *module = gomodules_at(pc);

	return module && owngo_is_1_21(module);
}

bool unwind_go_callback(struct saferead *memory, struct regs *regs)
{
	return goframes_callback(memory, regs) == 0 && !gosym_in_text(regs->ip - 1);
}

enum go_step unwind_go_step(struct saferead *memory, struct go_cursor *c, uint64_t *pc,
			    struct regs *regs)
{
	struct go_cursor entered;
	uint64_t next;

	if (!goframes_is_link(memory, &c->record, c->thread_stack, &next) ||
	    !saferead_read(memory, c->record + 8, pc))
		return GO_STEP_BAD;
	c->module = gomodules_at(*pc - 1);
	if (!c->module)
		return GO_STEP_BAD;
	switch (pcinfo_at(*pc - 1).kind) {
	case PCINFO_GO_ROOT:
		return GO_STEP_ROOT;
	case PCINFO_ASMCGOCALL:
		/* Assembly with a frame was called (purego).  As from C, the frame pointer it saved
		 * may point into a stack that has moved since. */
		if (unwind_go_enter(memory, *pc - 1, c->record + GOFRAMES_CALLER_SP, &entered)) {
			*c = entered;
			return GO_STEP_FRAME;
		}
		break;
	case PCINFO_CROSSCALL2:
		return goframes_crosscall(memory, c->record, next, is_1_21_at(*pc - 1), regs)
			       ? GO_STEP_BAD
			       : GO_STEP_CROSSCALL;
	case PCINFO_GO_SWITCH:
		if (switched_from(memory, c, &next))
			return GO_STEP_BAD;
		break;
	default:
		break;
	}
	/* A root that is not in our list of names: its chain started with rbp = 0. */
	if (next != 0 && !may_follow(memory, c, next))
		return GO_STEP_BAD;
	c->record = next;
	return GO_STEP_FRAME;
}
