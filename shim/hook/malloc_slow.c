/*
 * The slow halves.
 *
 * Every allocating hook has the same three steps: ask the sampler (which draws again), call the
 * real function, and record the block if it is a sample. For a sample, the thread counts as
 * inside the shim from before the real call until after its record. So an allocator behind us
 * that calls the public names is not recorded twice, and a signal handler cannot meet our locks.
 *
 * The real function runs on the host's stack; everything else that needs more than a few words
 * of stack runs on a recording stack (recstack.h).
 */
#include "hook/malloc_slow.h"

#include <assert.h>
#include <errno.h>

#include "base/arch.h"
#include "base/forked.h"
#include "base/state.h"
#include "region/recstack.h"
#include "region/region.h"
#include "unwind/capture.h"
#include "record/budget.h"
#include "record/eventring.h"
#include "record/frees.h"
#include "record/known.h"
#include "record/live.h"
#include "record/peak.h"
#include "record/pins.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "record/variance.h"
#include "hook/free_slow.h"
#include "hook/real.h"

struct slow_drops slow_drops;
uint64_t slow_samples;
uint64_t slow_missed_bytes;
uint64_t slow_ends[CAPTURE_END_COUNT];

enum { FIGURE_SAMPLES, FIGURE_ENDS };
static_assert(FIGURE_ENDS + CAPTURE_END_COUNT <= RECSTACK_FIGURES, "one for each end");

void slow_count_no_stack(void)
{
	ADD(&slow_drops.no_stack, 1);
	region_mark(REGION_LOST);
}

static inline void count_end(uint32_t end)
{
	end = likely(end < CAPTURE_END_COUNT) ? end : CAPTURE_SKIPPED;
	recstack_count(FIGURE_ENDS + end, &slow_ends[end]);
}

void slow_count_end(uint32_t end)
{
	count_end(end);
}

/* Both count on the recording stack, or, without one, in the variable. */
uint64_t slow_samples_taken(void)
{
	return LOAD(&slow_samples) + recstack_figure(FIGURE_SAMPLES);
}

uint64_t slow_ended(uint32_t end)
{
	return LOAD(&slow_ends[end]) + recstack_figure(FIGURE_ENDS + end);
}

/* ---- recording -------------------------------------------------------- */

/* A record that was replaced. */
static __attribute__((noinline)) void forget_stale(const struct live_block *stale)
{
	eventring_note(EVENT_FREE, stale);
	free_forget(stale);
	ADD(&slow_drops.stale, 1);
	ADD(&slow_missed_bytes,
	    sample_weight(stale->size, stale->interval).bytes_fx >> WEIGHT_BYTE_BITS);
}

/* The block counts as allocated only if its free can be seen too. */
static void record_block(void *p, size_t size, uint32_t interval, uint32_t site)
{
	struct live_block stale, block = {.address = (uint64_t)p,
					  .size = size,
					  .site = site,
					  .interval = interval,
					  .tick = live_tick_now()};
	int put = live_put(&block, &stale);

	if (put < 0) {
		ADD(&slow_drops.live_full, 1);
		region_mark(REGION_LOST);
		return;
	}
	struct weight w = sample_weight(size, interval);
	peak_add_alloc(site_at(site), w);
	if (unlikely(interval > 1))
		variance_add(size, w);
	recstack_count(FIGURE_SAMPLES, &slow_samples);
	if (unlikely(put > 0))
		forget_stale(&stale);
	eventring_note(EVENT_ALLOC, &block);
}

/* A sampled block, returned by the real function at leaf. */
struct sample {
	void *block;
	size_t size;
	uint64_t leaf;
	uint32_t interval;
};

static uint32_t capture_site(const struct sample *s, const struct regs *host)
{
	struct capture c;

	capture_noted(&c, host, s->leaf);
	count_end(c.end);
	uint32_t site = known_site(c.note, known_generation(), s->size);
	if (likely(site)) {
		capture_leave(&c);
		return site;
	}
	capture_fill(&c);
	return stacks_site(&c, s->size, ORIGIN_MALLOC);
}

static void record_here(void *sample, const struct regs *host)
{
	const struct sample *s = sample;
	bool is_exact = s->interval == 1;
	uint64_t begun = budget_begin(is_exact);
	uint32_t pin = pins_enter();

	record_block(s->block, s->size, s->interval, capture_site(s, host));
	pins_leave(pin);
	budget_end(&budget_spent.recording, begun, is_exact);
}

/* Leaves errno as the real function did. */
static inline void record(struct sample *s)
{
	int before = errno;

	if (unlikely(!recstack_run(record_here, s)))
		slow_count_no_stack();
	errno = before;
}

/* What the sampler is asked, and its answer. */
struct question {
	size_t size;
	uint32_t interval;
};

static void ask_here(void *question, const struct regs *host)
{
	struct question *q = question;

	(void)host;
	if (likely(!LOAD(&sample_self.busy))) {
		forked_look();
		q->interval = sample_take(q->size);
	} else if (sample_interval()) {
		free_count_reentered();
	}
}

static __attribute__((noinline)) uint32_t take_asking(size_t size)
{
	struct question q = {.size = size};

	/* Without a recording stack nothing can be recorded, so the answer is no, which needs
	 * no stack. */
	if (likely(recstack_run(ask_here, &q)))
		return q.interval;
	if (sample_interval())
		slow_count_no_stack();
	else
		ask_here(&q, NULL);
	return q.interval;
}

/* The interval at which the block is sampled; 0: not sampled, as where the thread is inside the
 * shim. */
static inline uint32_t take(size_t size)
{
	if (likely(sample_is_exact() && !forked_is_child()))
		return sample_take_exact();
	return take_asking(size);
}

/* ---- allocating ------------------------------------------------------- */

/* call: the real function on its arguments; its result is the block. */
#define TRACK(size, function, call)                                                                \
	do {                                                                                       \
		uint32_t interval = take(size);                                                    \
		if (!interval)                                                                     \
			return call;                                                               \
		sample_enter_first();                                                              \
		void *block = call;                                                                \
		if (block)                                                                         \
			record(&(struct sample){block, size, (uint64_t)real_named.function,        \
						interval});                                        \
		sample_leave(BUSY_NOT);                                                            \
		return block;                                                                      \
	} while (0)

void *slow_malloc(size_t size)
{
	TRACK(size, malloc, real.malloc(size));
}

/* The hook has checked that the product does not overflow. */
void *slow_calloc(size_t count, size_t size)
{
	TRACK(count * size, calloc, real.calloc(count, size));
}

void *slow_aligned_alloc(size_t alignment, size_t size)
{
	TRACK(size, aligned_alloc, real.aligned_alloc(alignment, size));
}

void *slow_memalign(size_t alignment, size_t size)
{
	TRACK(size, memalign, real.memalign(alignment, size));
}

void *slow_valloc(size_t size)
{
	TRACK(size, valloc, real.valloc(size));
}

void *slow_pvalloc(size_t size)
{
	TRACK(size, pvalloc, real.pvalloc(size));
}

int slow_posix_memalign(void **out, size_t alignment, size_t size)
{
	uint32_t interval = take(size);

	if (!interval)
		return real.posix_memalign(out, alignment, size);
	sample_enter_first();
	int error = real.posix_memalign(out, alignment, size);
	if (!error && *out)
		record(&(struct sample){*out, size, (uint64_t)real_named.posix_memalign, interval});
	sample_leave(BUSY_NOT);
	return error;
}

/* ---- realloc: a free and an allocation, unless it fails ----------------- */

/* One call, with its state before and after the real one. */
struct reallocation {
	void *p;
	size_t size;
	void *fresh;
	uint32_t interval; /* at which fresh is sampled; 0: not sampled */
	uint32_t held;     /* the old record; 0: none */
	bool is_sampled, is_tracked;
	struct live_block old;
};

static void hold_here(void *call, const struct regs *host)
{
	struct reallocation *r = call;

	if (!free_is_tracked())
		return;
	if (unlikely(LOAD(&sample_self.busy))) {
		free_count_reentered();
		return;
	}
	r->is_tracked = true;
	sample_enter();
	if (r->is_sampled)
		r->held = live_hold(r->p, &r->old);
	if (!r->held)
		return;
	/* Now: after the real call, another thread may have the address. */
	eventring_note(EVENT_FREE, &r->old);
	if (!r->size)
		free_capture(&r->old, frees_count_for(site_at(r->old.site)), host);
}

/* Decides what becomes of the old record, after the real realloc(p, size) returned `fresh`. */
static void settle(const struct reallocation *r)
{
	if (!r->held)
		return;
	/* NULL is a failure, and the old block still exists; but if realloc(p, 0) returns
	 * NULL, it has freed it. */
	if (!r->fresh && r->size) {
		live_restore(r->held);
		eventring_note(EVENT_KEPT, &r->old);
	} else {
		live_drop(r->held);
		free_forget(&r->old);
	}
}

static void settle_here(void *call, const struct regs *host)
{
	struct reallocation *r = call;
	int before = errno;

	settle(r);
	if (r->fresh && r->interval && host)
		record_here(&(struct sample){r->fresh, r->size, (uint64_t)real_named.realloc,
					     r->interval},
			    host);
	else if (r->fresh && r->interval)
		slow_count_no_stack();
	errno = before;
}

void *slow_realloc(void *p, size_t size)
{
	struct reallocation r = {.p = p, .size = size};

	if (unlikely(real_is_bootstrap(p)))
		return real_bootstrap_realloc(p, size);
	/* The call is here because of the old block, or also because the counter has run out. */
	r.interval = sample_skip(size) ? 0 : take(size);
	r.is_sampled = p && live_has(p);
	if (r.interval || r.is_sampled)
		recstack_run_anyhow(hold_here, &r);
	if (!r.is_tracked)
		return real.realloc(p, size);
	r.fresh = real.realloc(p, size);
	recstack_run_anyhow(settle_here, &r);
	sample_leave(BUSY_NOT);
	return r.fresh;
}
