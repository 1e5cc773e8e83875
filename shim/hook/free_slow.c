/*
 * See free_slow.h.
 *
 * A block's record is removed, and its freeing stack captured, before the real free: after that the
 * address may be another thread's next block, whose record must not be removed. Between the two,
 * the block still counts as in use, so its site stays. No lock is held while a stack is walked.
 */
#include "hook/free_slow.h"

#include <errno.h>

#include "base/forked.h"
#include "base/state.h"
#include "region/recstack.h"
#include "region/region.h"
#include "unwind/capture.h"
#include "record/budget.h"
#include "record/eventring.h"
#include "record/frees.h"
#include "record/peak.h"
#include "record/pins.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "hook/malloc_slow.h"
#include "hook/real.h"

bool free_is_tracked(void)
{
	forked_look();
	return shim_state_now() != SHIM_PASSIVE && LOAD_ACQ(&region);
}

void free_count_reentered(void)
{
	if (LOAD(&sample_self.busy) != BUSY_RECORDING || !free_is_tracked())
		return;
	ADD(&slow_drops.reentered, 1);
	region_mark(REGION_LOST);
}

void free_forget(const struct live_block *block)
{
	peak_add_free(site_at(block->site), sample_weight(block->size, block->interval));
}

/* ---- who frees --------------------------------------------------------- */

static __attribute__((noinline)) void capture_freer(const struct live_block *block, uint32_t count,
						    const struct regs *host)
{
	struct capture c;
	int before = errno;
	uint64_t begun = budget_begin(false);
	uint32_t pin = pins_enter();

	capture_apart(&c, host, (uint64_t)real_named.free);
	frees_add(block->site, sample_weight(block->size, block->interval), count, &c);
	pins_leave(pin);
	budget_end(&budget_spent.freers, begun, false);
	errno = before;
}

void free_capture(const struct live_block *block, uint32_t count, const struct regs *host)
{
	if (likely(!count))
		return;
	if (likely(host))
		capture_freer(block, count, host);
	else
		frees_count_missed();
}

/* ---- freeing ----------------------------------------------------------- */

static void take_out_here(void *p, const struct regs *host)
{
	struct live_block block;

	if (!free_is_tracked())
		return;
	if (unlikely(LOAD(&sample_self.busy))) {
		free_count_reentered();
		return;
	}
	uint8_t before = sample_enter();
	bool is_exact = sample_interval() == 1;
	uint64_t begun = budget_begin(is_exact);
	bool taken = live_take(p, &block);
	budget_end(&budget_spent.freeing, begun, is_exact);
	if (taken) {
		eventring_note(EVENT_FREE, &block);
		free_capture(&block, frees_count_for(site_at(block.site)), host);
		free_forget(&block);
	}
	sample_leave(before);
}

/* A block whose record was taken out. */
struct taken {
	struct live_block block;
	uint32_t count; /* for so many frees its stack is to be captured; 0: it is not */
};

static void forget_here(void *taken, const struct regs *host)
{
	const struct taken *t = taken;

	free_capture(&t->block, t->count, host);
	free_forget(&t->block);
}

/* The rest of take_out_at_once where there is more to do. */
static __attribute__((noinline)) void forget_on_stack(struct taken *t)
{
	recstack_run_anyhow(forget_here, t);
}

/*
 * At interval 1 most blocks that pass the filter are sampled, so the record is searched once, and
 * on the host's stack. No lock is held in any call. -1: nothing was done, since this is not so
 * simple.
 */
static __attribute__((noinline)) int take_out_at_once(void *p)
{
	struct taken t;

	if (!sample_is_exact() || forked_is_child() || LOAD(&eventring_read_now))
		return -1;
	sample_enter_first();
	uint64_t begun = budget_begin(true);
	enum live_taken taken = live_try_take(p, &t.block);
	budget_end(&budget_spent.freeing, begun, true);
	if (likely(taken == LIVE_TAKEN)) {
		struct site *site = site_at(t.block.site);
		t.count = frees_count_for(site);
		if (likely(!t.count && t.block.interval <= 1))
			peak_add_free(site, weight_whole(t.block.size));
		else
			forget_on_stack(&t);
	}
	sample_leave(BUSY_NOT);
	return taken == LIVE_IS_LOCKED ? -1 : 0;
}

static __attribute__((noinline)) void forget_sampled(void *p)
{
	recstack_run_anyhow(take_out_here, p);
}

/* Most blocks that come here are not sampled; they share a filter byte with a sampled one. */
bool slow_forget(void *p)
{
	if (unlikely(real_is_bootstrap(p)))
		return false;
	if (likely(take_out_at_once(p) == 0))
		return true;
	if (unlikely(live_has(p)))
		forget_sampled(p);
	return true;
}

void slow_free(void *p)
{
	if (slow_forget(p))
		real.free(p);
}
