/* See maker.h. */
#include "hook/maker.h"

#include "base/clock.h"
#include "unwind/capture.h"
#include "record/sample.h"
#include "hook/malloc_slow.h"
#include "hook/mapcaller.h"

/* ---- limit on captures per second ------------------------------------- */

#define CAPTURE_PERIOD_NS UINT64_C(1000000)
#define CAPTURE_BURST     4096

/* When the next capture would be due if they came evenly; at most a burst in the past. */
static uint64_t next_capture_ns;

static bool may_capture(void)
{
	uint64_t now = clock_coarse_ns(), oldest = now - CAPTURE_BURST * CAPTURE_PERIOD_NS;
	uint64_t due = LOAD(&next_capture_ns), from;

	do {
		from = due > oldest ? due : oldest;
		if (from > now)
			return false;
	} while (!__atomic_compare_exchange_n(&next_capture_ns, &due, from + CAPTURE_PERIOD_NS,
					      true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

/* ---- the caller ------------------------------------------------------- */

static uint32_t intern(const struct capture *c, const struct maker_call *call)
{
	slow_count_end(c->end);
	return stacks_site(c, call->size, call->origin);
}

/* The Go runtime's stacks are not stored: the kind of the memory says enough. */
static __attribute__((noinline)) struct maker captured(const struct maker_call *call)
{
	uint8_t before = sample_enter();
	struct maker maker = {.site = 0};
	struct capture c;

	capture_stack(&c, call->host, call->leaf);
	if (call->origin == ORIGIN_MMAP)
		maker.kind = mapcaller_kind(&c, call->usable);
	if (maker.kind == MAPPINGS_C)
		maker.site = intern(&c, call);
	sample_leave(before);
	return maker;
}

/* Lock-free throughout, so it is also safe in a signal handler that interrupted the shim. */
static __attribute__((noinline)) struct maker not_captured(const struct maker_call *call)
{
	struct capture c = {.count = 2, .end = CAPTURE_SKIPPED};

	/* The most likely kind, because the calling runtime function is not known. */
	if (mapcaller_is_go(call->caller))
		return (struct maker){.kind = call->usable ? MAPPINGS_GO_METADATA
							   : MAPPINGS_GO_HEAP};
	mappings_count_uncaptured();
	c.frames[0] = call->leaf + 1;
	c.frames[1] = call->caller;
	return (struct maker){.kind = MAPPINGS_C, .site = intern(&c, call)};
}

/* The Go runtime maps rarely, and the purpose matters, so its calls are always captured. */
struct maker maker_find(const struct maker_call *call)
{
	if (mapcaller_is_allocator(call->caller) && call->origin == ORIGIN_MMAP)
		return (struct maker){.kind = MAPPINGS_ALLOCATOR};
	if (!LOAD(&sample_self.busy) && (mapcaller_is_go(call->caller) || may_capture()))
		return captured(call);
	return not_captured(call);
}

uint32_t maker_site(const struct regs *host, uint64_t size, enum origin origin, uint64_t leaf,
		    uint64_t caller)
{
	struct maker_call call = {.host = host,
				  .size = size,
				  .leaf = leaf,
				  .caller = caller,
				  .origin = origin,
				  .usable = true};
	return maker_find(&call).site;
}
