/*
 * This thread's own goroutine: the one that waits for the C code that the thread is in.
 *
 * The runtime's state of this thread needs no check.  If its g is not 0, Go called the C code that
 * this thread is in, so its g, its m and the waiting goroutine with its stack stay until that code
 * returns.  This holds even for a heap whose mapping no hook saw.  So what nearly every way from C
 * into Go needs is read in a few instructions.
 *
 * Any thread; lock-free, async-signal-safe.
 */
#ifndef CGOHEAP_OWNGO_H
#define CGOHEAP_OWNGO_H

#include "base/arch.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "unwind/goframes.h"
#include "unwind/unwind_go.h"

/* runtime/runtime2.go: the same in 1.21 to 1.27. */
#define OWNGO_OLDEST    21
#define OWNGO_NEWEST    27
#define OWNGO_MAX_STACK ((uint64_t)4 << 30) /* debug.SetMaxStack defaults to 1 GiB */
enum { G_STACK_LO = 0, G_STACK_HI = 8, G_M = 0x30, G_SCHED_SP = 0x38, M_G0 = 0 };

static inline bool owngo_is_1_21(const struct gomodule *module)
{
	return module->minor > 0 && module->minor <= 21;
}

/* From asmcgocall's stack pointer to what it saves (goframes.h). */
static inline uint64_t owngo_saved_at(const struct gomodule *module)
{
	return goframes_saved_at(owngo_is_1_21(module));
}

/* The offset of m.curg. */
static inline uint64_t owngo_curg_at(const struct gomodule *module)
{
	return module->minor > 0 && module->minor <= 24 ? 0xc0 : 0xb8;
}

/* 0: unknown. */
static inline uint64_t owngo_goroutine(const struct gomodule *module)
{
	if (!module->tls_is_g || module->minor < OWNGO_OLDEST || module->minor > OWNGO_NEWEST)
		return 0;
	uint64_t g = saferead_known_word(arch_tls_at(module->tls[0]));
	uint64_t m = g ? saferead_known_word(g + G_M) : 0;
	return m ? saferead_known_word(m + owngo_curg_at(module)) : 0;
}

/* Its stack. */
static inline struct go_stack owngo_stack(uint64_t g)
{
	return (struct go_stack){saferead_known_word(g + G_STACK_LO),
				 saferead_known_word(g + G_STACK_HI)};
}

static inline bool owngo_is_possible(struct go_stack s)
{
	return s.lo < s.hi && s.hi - s.lo <= OWNGO_MAX_STACK;
}

/* Sets the cursor's goroutine to g.  -1: that is not the thread's own. */
static inline int owngo_choose(struct go_cursor *c, uint64_t g)
{
	if (likely(c->is_own && g == c->g))
		return 0;
	c->is_own = false;
	if (unlikely(g == 0 || g != owngo_goroutine(c->module)))
		return -1;
	c->g = g;
	c->stack = owngo_stack(g);
	c->is_own = owngo_is_possible(c->stack) && (c->stack.lo | c->stack.hi) % 8 == 0;
	return c->is_own ? 0 : -1;
}

static inline int owngo_give_up(struct go_cursor *c)
{
	c->is_own = false;
	return -1;
}

/*
 * As unwind_go_enter, if the goroutine is the thread's own.  c: of an earlier such crossing in this
 * walk; before the first one, c->module is a guess and c->is_own is false.  The thread's stack is
 * readable from sp to top.  -1: c->is_own is false, and the rest undefined.
 */
static inline int owngo_enter(uint64_t pc, uint64_t sp, uint64_t top, struct go_cursor *c)
{
	if (unlikely(!c->module || !gomodule_has_text(c->module, pc))) {
		c->module = gomodules_at(pc);
		c->is_own = false;
		if (!c->module)
			return -1;
	}
	uint64_t saved = sp + owngo_saved_at(c->module);
	if (unlikely(saved > top - 16 ||
		     owngo_choose(c, saferead_known_word(saved + GOFRAMES_G_AT))))
		return owngo_give_up(c);
	uint64_t depth = saferead_known_word(saved + GOFRAMES_DEPTH_AT);
	c->record = c->stack.hi - depth - GOFRAMES_RECORD_BELOW;
	c->thread_stack = sp;
	if (unlikely(depth < 16 || depth % 8 || depth >= c->stack.hi - c->stack.lo))
		return owngo_give_up(c);
	uint64_t caller = saferead_known_word(c->record + 8) - 1;
	if (unlikely(!gomodule_has_text(c->module, caller) && !gosym_in_text(caller)))
		return owngo_give_up(c);
	return 0;
}

#endif
