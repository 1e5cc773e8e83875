/* See track_map.h. */
#include "track_map.h"

#include <errno.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include "arch.h"
#include "capture.h"
#include "control.h"
#include "goarena.h"
#include "ledger.h"
#include "live.h"
#include "mapcaller.h"
#include "real.h"
#include "sample.h"
#include "track.h"

/* ---- how many stacks a second ----------------------------------------- */

#define CAPTURE_PERIOD_NS UINT64_C(1000000)
#define CAPTURE_BURST     4096

/* When the next capture would be due if they came evenly; it may lie a burst in the past. */
static uint64_t next_capture_ns;

static bool may_capture(void)
{
	uint64_t now = control_monotonic_ns(), oldest = now - CAPTURE_BURST * CAPTURE_PERIOD_NS;
	uint64_t due = LOAD(&next_capture_ns), from;

	do {
		from = due > oldest ? due : oldest;
		if (from > now)
			return false;
	} while (!__atomic_compare_exchange_n(&next_capture_ns, &due, from + CAPTURE_PERIOD_NS,
					      true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

/* ---- who it was ------------------------------------------------------- */

/* One call of the host. */
struct call {
	uint64_t size; /* as asked */
	uint64_t leaf; /* the function called */
	uint64_t caller;
	enum origin origin;
	bool usable;
};

struct maker {
	uint32_t site;
	enum ledger_kind kind;
};

static uint32_t intern(const struct capture *c, const struct call *call)
{
	uint32_t site;

	ADD(&track_ends[c->end < CAPTURE_END_COUNT ? c->end : CAPTURE_SKIPPED], 1);
	site = stacks_site(c, call->size, call->origin);
	if (!site)
		ADD(&track_drops.stacks_full, 1);
	return site;
}

/* The Go runtime's stacks are not kept: they say what the kind does. */
static __attribute__((noinline)) struct maker captured(const struct call *call)
{
	uint8_t before = sample_enter();
	struct maker maker = {.site = 0};
	struct capture c;
	struct regs regs;

	arch_get_regs(&regs);
	capture_stack(&c, &regs, call->leaf);
	if (call->origin == ORIGIN_MMAP)
		maker.kind = mapcaller_kind(&c, call->usable);
	if (maker.kind == LEDGER_C)
		maker.site = intern(&c, call);
	sample_leave(before);
	return maker;
}

/* Lock-free all the way, and so good in a signal handler that interrupted the shim. */
static __attribute__((noinline)) struct maker not_captured(const struct call *call)
{
	struct capture c = {.count = 2, .end = CAPTURE_SKIPPED};

	/* The kind that the memory most likely has: which function asked is not known. */
	if (mapcaller_is_go(call->caller))
		return (struct maker){.kind = call->usable ? LEDGER_GO_METADATA : LEDGER_GO_HEAP};
	ledger_count_uncaptured();
	c.frames[0] = call->leaf + 1;
	c.frames[1] = call->caller;
	return (struct maker){.kind = LEDGER_C, .site = intern(&c, call)};
}

/* The Go runtime maps seldom, and what for matters: it is always captured. */
static struct maker find_maker(const struct call *call)
{
	if (mapcaller_is_allocator(call->caller) && call->origin == ORIGIN_MMAP)
		return (struct maker){.kind = LEDGER_ALLOCATOR};
	if (!LOAD(&sample_self.busy) && (mapcaller_is_go(call->caller) || may_capture()))
		return captured(call);
	return not_captured(call);
}

uint32_t track_map_site(uint64_t size, enum origin origin, uint64_t leaf, uint64_t caller)
{
	struct call call = {
		.size = size, .leaf = leaf, .caller = caller, .origin = origin, .usable = true};
	return find_maker(&call).site;
}

/* ---- mmap ------------------------------------------------------------- */

static bool prot_usable(int prot)
{
	return prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* The kernel rounds to pages, and mappings of huge pages to those. */
static uint64_t mapped_bytes(size_t n, int flags)
{
	unsigned shift = (unsigned)flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
	uint64_t page = shift ? UINT64_C(1) << shift : 2 * MIB;

	return flags & MAP_HUGETLB ? ALIGN_UP((uint64_t)n, page) : n;
}

/* The Go runtime commits its arenas and tables piece by piece where it had reserved them. */
static bool inside_go(uint64_t address, enum ledger_kind *kind)
{
	struct ledger_range range;

	if (!ledger_find(address, &range) ||
	    (range.kind != LEDGER_GO_HEAP && range.kind != LEDGER_GO_METADATA))
		return false;
	*kind = range.kind;
	return true;
}

static struct maker maker_of_mapping(const struct call *call, uint64_t address, int flags)
{
	struct maker maker = {.kind = LEDGER_C};

	if ((flags & MAP_ANONYMOUS) && (flags & MAP_FIXED) && inside_go(address, &maker.kind))
		return maker;
	maker = find_maker(call);
	if (!(flags & MAP_ANONYMOUS)) /* a device's or a file's: not Go's, nor the allocator's */
		maker.kind = LEDGER_C;
	return maker;
}

void *track_mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset, uint64_t caller)
{
	struct call call = {.size = n,
			    .leaf = (uint64_t)real.mmap,
			    .caller = caller,
			    .origin = ORIGIN_MMAP,
			    .usable = prot_usable(prot)};
	struct ledger_range range;
	struct maker maker;
	void *got;
	int before;

	if (flags & MAP_FIXED)
		goarena_forget((uint64_t)p, (uint64_t)p + mapped_bytes(n, flags));
	got = real.mmap(p, n, prot, flags, fd, offset);
	if (got == MAP_FAILED)
		return got;
	before = errno;
	maker = maker_of_mapping(&call, (uint64_t)got, flags);
	range = (struct ledger_range){
		.start = (uint64_t)got,
		.end = (uint64_t)got + mapped_bytes(n, flags),
		.site = maker.site,
		.tick = live_tick_now(),
		.kind = (uint8_t)maker.kind,
		.flags = (uint8_t)((call.usable ? LEDGER_USABLE : 0) |
				   (flags & MAP_ANONYMOUS ? 0 : LEDGER_FILE) |
				   ((flags & MAP_TYPE) == MAP_PRIVATE ? 0 : LEDGER_SHARED))};
	ledger_map(&range);
	if (range.kind == LEDGER_GO_HEAP && (prot & PROT_READ))
		goarena_note(range.start, range.end);
	errno = before;
	return got;
}

/* ---- munmap, mprotect ------------------------------------------------- */

int track_munmap(void *p, size_t n)
{
	uint32_t held = ledger_hold((uint64_t)p, n);
	int result, before;

	goarena_forget((uint64_t)p, (uint64_t)p + n);
	result = real.munmap(p, n);
	before = errno;
	if (result)
		ledger_restore(held);
	else
		ledger_drop(held);
	errno = before;
	return result;
}

int track_mprotect(void *p, size_t n, int prot, uint64_t caller)
{
	uint32_t site = 0;
	int result, before;

	if (!(prot & PROT_READ))
		goarena_forget((uint64_t)p, (uint64_t)p + n);
	result = real.mprotect(p, n, prot);
	before = errno;
	if (result)
		return result;
	if (prot_usable(prot) && ledger_wants_site((uint64_t)p, n))
		site = track_map_site(n, ORIGIN_MMAP, (uint64_t)real.mprotect, caller);
	ledger_protect((uint64_t)p, n, prot_usable(prot), site);
	errno = before;
	return result;
}

/* ---- mremap ----------------------------------------------------------- */

static uint32_t remap_site(const struct ledger_range *was, size_t bytes, uint64_t caller)
{
	if (was->flags & LEDGER_FILE)
		return was->site;
	if (was->kind != LEDGER_C)
		return 0;
	return track_map_site(bytes, ORIGIN_MMAP, (uint64_t)real.mremap, caller);
}

/* A new mapping at `to`, like the one it came from but for who made it. */
static void map_like(const struct ledger_range *was, uint64_t to, size_t bytes, uint64_t caller)
{
	struct ledger_range range = *was;

	range.site = remap_site(was, bytes, caller);
	range.start = to;
	range.end = to + bytes;
	range.tick = live_tick_now();
	ledger_map(&range);
}

/* One call, as the kernel did it. */
struct remap {
	uint64_t from, to;
	size_t old, new;
	bool stays; /* MREMAP_DONTUNMAP */
};

/* old = 0 maps once more what is shared; the kernel grows only what is one mapping. */
static void remapped(const struct remap *r, const struct ledger_range *was, uint32_t held,
		     uint64_t caller)
{
	if (was && r->stays)
		ledger_duplicate(r->from, r->to, r->new, remap_site(was, r->new, caller));
	else if (was && r->new > r->old)
		map_like(was, r->to, r->new, caller);
	else
		return ledger_move(held, r->from, r->to, r->new);
	ledger_drop(held);
}

void *track_mremap(void *p, size_t old, size_t new, int flags, void *to, uint64_t caller)
{
	struct remap r = {
		.from = (uint64_t)p, .old = old, .new = new, .stays = flags &MREMAP_DONTUNMAP};
	struct ledger_range was;
	bool is_known = ledger_find(r.from, &was);
	uint32_t held = r.stays || old == 0 ? 0 : ledger_hold(r.from, old);
	void *got;
	int before;

	goarena_forget((uint64_t)p, (uint64_t)p + old);
	if (flags & MREMAP_FIXED)
		goarena_forget((uint64_t)to, (uint64_t)to + new);
	got = real.mremap(p, old, new, flags, to);
	before = errno;
	r.to = (uint64_t)got;
	if (got == MAP_FAILED)
		ledger_restore(held);
	else
		remapped(&r, is_known ? &was : NULL, held, caller);
	errno = before;
	return got;
}

/* ---- sbrk, brk -------------------------------------------------------- */

/* A page that the old end lies in stays with whoever had it. */
static void brk_grew(uint64_t from, uint64_t to, uint64_t leaf, uint64_t caller)
{
	struct call call = {.size = to - from,
			    .leaf = leaf,
			    .caller = caller,
			    .origin = ORIGIN_MMAP,
			    .usable = true};
	struct ledger_range range = {.start = ALIGN_UP(from, (uint64_t)PAGE_BYTES),
				     .end = ALIGN_UP(to, (uint64_t)PAGE_BYTES),
				     .tick = live_tick_now(),
				     .flags = LEDGER_USABLE};
	struct maker maker;

	if (range.start >= range.end)
		return;
	maker = find_maker(&call);
	range.site = maker.site;
	range.kind = (uint8_t)maker.kind;
	ledger_map(&range);
}

static uint32_t brk_hold(uint64_t to, uint64_t from)
{
	uint64_t start = ALIGN_UP(to, (uint64_t)PAGE_BYTES);
	return start < from ? ledger_hold(start, from - start) : 0;
}

void *track_sbrk(intptr_t increment, uint64_t caller)
{
	uint64_t end = increment < 0 ? (uint64_t)real.sbrk(0) : 0;
	uint32_t held = increment < 0 ? brk_hold(end + (uint64_t)increment, end) : 0;
	void *was = real.sbrk(increment);
	int before = errno;

	if (was == (void *)-1)
		ledger_restore(held);
	else if (increment < 0)
		ledger_drop(held);
	else
		brk_grew((uint64_t)was, (uint64_t)was + (uint64_t)increment, (uint64_t)real.sbrk,
			 caller);
	errno = before;
	return was;
}

int track_brk(void *to, uint64_t caller)
{
	uint64_t was = (uint64_t)real.sbrk(0);
	uint32_t held = brk_hold((uint64_t)to, was);
	int result = real.brk(to), before = errno;

	if (result)
		ledger_restore(held);
	else
		ledger_drop(held);
	if (!result && (uint64_t)to > was)
		brk_grew(was, (uint64_t)to, (uint64_t)real.brk, caller);
	errno = before;
	return result;
}
