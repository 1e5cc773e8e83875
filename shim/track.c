/*
 * The slow halves.
 *
 * Every allocating hook is the same three steps: ask the sampler (which draws
 * again), call the real function, and where the block is a sample, record it.
 * The thread counts as inside the shim from before the real call of a sample to
 * after its record, so that an allocator behind us that uses the public names
 * itself is not recorded twice, and a signal handler cannot meet our locks.
 */
#include "track.h"

#include <errno.h>

#include "arch.h"
#include "budget.h"
#include "capture.h"
#include "forked.h"
#include "live.h"
#include "real.h"
#include "region.h"
#include "sample.h"
#include "server.h"
#include "stacks.h"

struct track_drops track_drops;
uint64_t track_samples;
uint64_t track_ends[CAPTURE_END_COUNT];

int shim_state = SHIM_LOADING;
const char *shim_passive_reason;

/* Whether there can be records at all. */
static bool tracking(void)
{
	forked_look();
	return LOAD(&shim_state) != SHIM_PASSIVE && LOAD_ACQ(&region);
}

/* ---- recording -------------------------------------------------------- */

static uint32_t capture_site(size_t size, uint64_t leaf)
{
	struct capture c;
	struct regs regs;

	arch_get_regs(&regs);
	capture_stack(&c, &regs, leaf);
	if (c.end < CAPTURE_END_COUNT)
		ADD(&track_ends[c.end], 1);
	return stacks_site(&c, size, ORIGIN_MALLOC);
}

static void forget(const struct live_block *block)
{
	site_add_free(site_at(block->site), sample_weight(block->size, block->interval));
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
		ADD(&track_drops.live_full, 1);
		return;
	}
	site_add_alloc(site_at(site), sample_weight(size, interval));
	ADD(&track_samples, 1);
	if (put > 0) {
		forget(&stale);
		ADD(&track_drops.stale, 1);
	}
}

/* leaf: the function the host called.  errno stays as the real function left it. */
static __attribute__((noinline)) void record(void *p, size_t size, uint32_t interval, uint64_t leaf)
{
	int before = errno;
	uint64_t begun = budget_begin();
	uint32_t site = capture_site(size, leaf);

	if (site)
		record_block(p, size, interval, site);
	else
		ADD(&track_drops.stacks_full, 1);
	budget_end(&budget_spent.recording, begun);
	errno = before;
}

/* A call from inside the shim is never recorded; one that a record was being made in is counted. */
static void count_reentered(void)
{
	if (LOAD(&sample_self.busy) == BUSY_RECORDING && tracking())
		ADD(&track_drops.reentered, 1);
}

/* The sampler's answer. */
static uint32_t take(size_t size)
{
	if (likely(!LOAD(&sample_self.busy))) {
		forked_look();
		return sample_take(size);
	}
	if (sample_interval())
		count_reentered();
	return 0;
}

/* ---- allocating ------------------------------------------------------- */

/* call: the real function on its arguments; its result is the block. */
#define TRACK(size, function, call)                                                                \
	do {                                                                                       \
		uint32_t interval = take(size);                                                    \
		if (!interval)                                                                     \
			return call;                                                               \
		uint8_t before = sample_enter();                                                   \
		void *block = call;                                                                \
		if (block)                                                                         \
			record(block, size, interval, (uint64_t)real.function);                    \
		sample_leave(before);                                                              \
		return block;                                                                      \
	} while (0)

void *track_malloc(size_t size)
{
	TRACK(size, malloc, real.malloc(size));
}

/* The hook has seen that the product does not overflow. */
void *track_calloc(size_t count, size_t size)
{
	TRACK(count * size, calloc, real.calloc(count, size));
}

void *track_aligned_alloc(size_t alignment, size_t size)
{
	TRACK(size, aligned_alloc, real.aligned_alloc(alignment, size));
}

void *track_memalign(size_t alignment, size_t size)
{
	TRACK(size, memalign, real.memalign(alignment, size));
}

void *track_valloc(size_t size)
{
	TRACK(size, valloc, real.valloc(size));
}

void *track_pvalloc(size_t size)
{
	TRACK(size, pvalloc, real.pvalloc(size));
}

int track_posix_memalign(void **out, size_t alignment, size_t size)
{
	uint32_t interval = take(size);
	uint8_t before;
	int error;

	if (!interval)
		return real.posix_memalign(out, alignment, size);
	before = sample_enter();
	error = real.posix_memalign(out, alignment, size);
	if (!error && *out)
		record(*out, size, interval, (uint64_t)real.posix_memalign);
	sample_leave(before);
	return error;
}

/* ---- freeing ---------------------------------------------------------- */

/*
 * The record goes before the block does: once freed, the address may be another
 * thread's next block, and its record must not be the one that is taken out.
 */
static __attribute__((noinline)) void forget_sampled(void *p)
{
	struct live_block block;

	if (tracking()) {
		if (unlikely(LOAD(&sample_self.busy))) {
			count_reentered();
		} else {
			uint8_t before = sample_enter();
			uint64_t begun = budget_begin();
			if (live_take(p, &block))
				forget(&block);
			budget_end(&budget_spent.freeing, begun);
			sample_leave(before);
		}
	}
}

/* Most that come here are other blocks, of the same filter byte as a sampled one. */
bool track_forget(void *p)
{
	if (unlikely(real_is_bootstrap(p)))
		return false;
	if (unlikely(live_has(p)))
		forget_sampled(p);
	return true;
}

void track_free(void *p)
{
	if (track_forget(p))
		real.free(p);
}

/* ---- realloc: a free and an allocation, unless it fails ----------------- */

/* The fate of the old record, now that the real realloc(p, size) returned `fresh`. */
static void settle(uint32_t held, const struct live_block *old, const void *fresh, size_t size)
{
	if (!held)
		return;
	/* NULL is failure and the old block stands, but realloc(p, 0) = NULL has freed it. */
	if (!fresh && size) {
		live_restore(held);
	} else {
		live_drop(held);
		forget(old);
	}
}

static void *realloc_tracked(void *p, size_t size, uint32_t interval, bool is_sampled)
{
	uint8_t before = sample_enter();
	struct live_block old;
	uint32_t held = is_sampled ? live_hold(p, &old) : 0;
	void *fresh = real.realloc(p, size);

	settle(held, &old, fresh, size);
	if (fresh && interval)
		record(fresh, size, interval, (uint64_t)real.realloc);
	sample_leave(before);
	return fresh;
}

void *track_realloc(void *p, size_t size)
{
	uint32_t interval;
	bool is_sampled;

	if (unlikely(real_is_bootstrap(p)))
		return real_bootstrap_realloc(p, size);
	/* Here for the old block alone, or also because the counter has run out. */
	interval = sample_skip(size) ? 0 : take(size);
	is_sampled = p && live_has(p);
	if ((!interval && !is_sampled) || !tracking())
		return real.realloc(p, size);
	if (unlikely(LOAD(&sample_self.busy))) {
		count_reentered();
		return real.realloc(p, size);
	}
	return realloc_tracked(p, size, interval, is_sampled);
}

/* ---- threads ------------------------------------------------------------ */

void track_thread_created(void)
{
	static bool started;
	uint8_t before;

	if (LOAD(&started) || LOAD(&shim_state) != SHIM_ACTIVE ||
	    __atomic_exchange_n(&started, true, __ATOMIC_RELAXED))
		return;
	/* What glibc allocates for our thread is not the host's. */
	int error = errno;
	before = sample_enter_as(BUSY_OWN);
	server_start();
	sample_leave(before);
	errno = error;
}
