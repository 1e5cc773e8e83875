/* See map_slow.h. */
#include "hook/map_slow.h"

#include <errno.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include "base/arch.h"
#include "region/recstack.h"
#include "go/goarena.h"
#include "unwind/saferead.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/pins.h"
#include "record/sample.h"
#include "hook/maker.h"
#include "hook/malloc_slow.h"
#include "hook/real.h"

/*
 * If no recording stack is left, the mapping is not recorded, and the account shows it as
 * untracked.
 */
static void run(recstack_work *work, void *arg)
{
	if (unlikely(!recstack_run(work, arg)))
		slow_count_no_stack();
}

/* Called before the memory is unmapped: from then on no walk reads it without asking the kernel. */
static void lose(const void *p, uint64_t bytes)
{
	goarena_forget((uint64_t)p, (uint64_t)p + bytes);
	saferead_lose((uint64_t)p, bytes);
}

/* ---- mmap ------------------------------------------------------------- */

static bool prot_usable(int prot)
{
	return prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* The kernel rounds to pages, and huge-page mappings to huge pages. */
static uint64_t mapped_bytes(size_t n, int flags)
{
	unsigned shift = (unsigned)flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
	uint64_t page = shift ? UINT64_C(1) << shift : 2 * MIB;

	return flags & MAP_HUGETLB ? ALIGN_UP((uint64_t)n, page) : n;
}

/* The Go runtime commits its arenas and tables piece by piece where it had reserved them. */
static bool inside_go(uint64_t address, enum mappings_kind *kind)
{
	struct mappings_range range;

	if (!mappings_find(address, &range) ||
	    (range.kind != MAPPINGS_GO_HEAP && range.kind != MAPPINGS_GO_METADATA))
		return false;
	*kind = range.kind;
	return true;
}

static struct maker maker_of_mapping(const struct maker_call *call, uint64_t address, int flags)
{
	struct maker maker = {.kind = MAPPINGS_C};

	if ((flags & MAP_ANONYMOUS) && (flags & MAP_FIXED) && inside_go(address, &maker.kind))
		return maker;
	maker = maker_find(call);
	if (!(flags & MAP_ANONYMOUS)) /* a device or a file: not Go's, nor the allocator's */
		maker.kind = MAPPINGS_C;
	return maker;
}

struct mapping {
	void *got;
	size_t n;
	uint64_t caller;
	int prot, flags;
};

static uint8_t range_flags(const struct mapping *m)
{
	return (uint8_t)((prot_usable(m->prot) ? MAPPINGS_USABLE : 0) |
			 (m->flags & MAP_ANONYMOUS ? 0 : MAPPINGS_FILE) |
			 ((m->flags & MAP_TYPE) == MAP_PRIVATE ? 0 : MAPPINGS_SHARED));
}

static void note_mapping_here(void *mapping, const struct regs *host)
{
	const struct mapping *m = mapping;
	uint64_t start = (uint64_t)m->got;
	struct maker_call call = {.host = host,
				  .size = m->n,
				  .leaf = (uint64_t)real.mmap,
				  .caller = m->caller,
				  .origin = ORIGIN_MMAP,
				  .usable = prot_usable(m->prot)};
	uint32_t pin = pins_enter();
	struct maker maker = maker_of_mapping(&call, start, m->flags);
	struct mappings_range range = {.start = start,
				       .end = start + mapped_bytes(m->n, m->flags),
				       .site = maker.site,
				       .tick = live_tick_now(),
				       .kind = (uint8_t)maker.kind,
				       .flags = range_flags(m)};

	mappings_map(&range);
	pins_leave(pin);
	if (range.kind == MAPPINGS_GO_HEAP && (m->prot & PROT_READ))
		goarena_note(range.start, range.end);
}

void *slow_mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset, uint64_t caller)
{
	struct mapping m = {.n = n, .caller = caller, .prot = prot, .flags = flags};

	if (flags & MAP_FIXED)
		lose(p, mapped_bytes(n, flags));
	m.got = real.mmap(p, n, prot, flags, fd, offset);
	if (m.got == MAP_FAILED)
		return m.got;
	int before = errno;
	run(note_mapping_here, &m);
	errno = before;
	return m.got;
}

/* ---- munmap, mprotect ------------------------------------------------- */

/* Memory that is about to be unmapped. */
struct hold {
	uint64_t start, bytes;
	uint32_t held;
	bool failed;
};

static void hold_here(void *hold, const struct regs *host)
{
	struct hold *h = hold;

	(void)host;
	h->held = mappings_hold(h->start, h->bytes);
}

static void settle_here(void *hold, const struct regs *host)
{
	const struct hold *h = hold;

	(void)host;
	if (h->failed)
		mappings_restore(h->held);
	else
		mappings_drop(h->held);
}

int slow_munmap(void *p, size_t n)
{
	struct hold h = {.start = (uint64_t)p, .bytes = n};
	uint32_t pin = pins_enter(); /* what is held is not in the table */

	lose(p, n);
	recstack_run_anyhow(hold_here, &h);
	int result = real.munmap(p, n);
	int before = errno;
	h.failed = result != 0;
	if (h.held)
		recstack_run_anyhow(settle_here, &h);
	pins_leave(pin);
	errno = before;
	return result;
}

struct protection {
	uint64_t start, bytes, caller;
	bool usable;
};

static void note_protection_here(void *protection, const struct regs *host)
{
	const struct protection *p = protection;
	uint32_t site = 0, pin = pins_enter();

	if (p->usable && mappings_wants_site(p->start, p->bytes))
		site = maker_site(host, p->bytes, ORIGIN_MMAP, (uint64_t)real.mprotect, p->caller);
	mappings_protect(p->start, p->bytes, p->usable, site);
	pins_leave(pin);
}

int slow_mprotect(void *p, size_t n, int prot, uint64_t caller)
{
	struct protection protection = {(uint64_t)p, n, caller, prot_usable(prot)};

	if (!(prot & PROT_READ))
		lose(p, n);
	int result = real.mprotect(p, n, prot);
	int before = errno;
	if (result)
		return result;
	run(note_protection_here, &protection);
	errno = before;
	return result;
}

/* ---- mremap ----------------------------------------------------------- */

/* One call, and what the kernel did. */
struct remap {
	uint64_t from, to, caller;
	size_t old, new;
	uint32_t held;
	bool stays;    /* MREMAP_DONTUNMAP */
	bool is_known; /* `was` is valid */
	struct mappings_range was;
};

static uint32_t remap_site(const struct remap *r, const struct regs *host)
{
	if (r->was.flags & MAPPINGS_FILE)
		return r->was.site;
	if (r->was.kind != MAPPINGS_C)
		return 0;
	if (unlikely(!host)) { /* on the caller's stack: no room for a walk (recstack.h) */
		mappings_count_uncaptured();
		return r->was.site;
	}
	return maker_site(host, r->new, ORIGIN_MMAP, (uint64_t)real.mremap, r->caller);
}

/* A new mapping, like the one it came from except for its caller. */
static void map_like(const struct remap *r, const struct regs *host)
{
	struct mappings_range range = r->was;

	range.site = remap_site(r, host);
	range.start = r->to;
	range.end = r->to + r->new;
	range.tick = live_tick_now();
	mappings_map(&range);
}

static void find_here(void *remap, const struct regs *host)
{
	struct remap *r = remap;

	(void)host;
	r->is_known = mappings_find(r->from, &r->was);
	r->held = r->stays || r->old == 0 ? 0 : mappings_hold(r->from, r->old);
}

/* old = 0 maps shared memory a second time; the kernel only grows a single mapping. */
static void remapped_here(void *remap, const struct regs *host)
{
	const struct remap *r = remap;

	if (r->to == (uint64_t)MAP_FAILED)
		return mappings_restore(r->held);
	if (r->is_known && r->stays)
		mappings_duplicate(r->from, r->to, r->new, remap_site(r, host));
	else if (r->is_known && r->new > r->old)
		map_like(r, host);
	else
		return mappings_move(r->held, r->from, r->to, r->new);
	mappings_drop(r->held);
}

void *slow_mremap(void *p, size_t old, size_t new, int flags, void *to, uint64_t caller)
{
	struct remap r = {.from = (uint64_t)p,
			  .caller = caller,
			  .old = old,
			  .new = new,
			  .stays = flags &MREMAP_DONTUNMAP};
	uint32_t pin = pins_enter(); /* what is held is not in the table */

	recstack_run_anyhow(find_here, &r);
	lose(p, old);
	if (flags & MREMAP_FIXED)
		lose(to, new);
	void *got = real.mremap(p, old, new, flags, to);
	int before = errno;
	r.to = (uint64_t)got;
	recstack_run_anyhow(remapped_here, &r);
	pins_leave(pin);
	errno = before;
	return got;
}

/* ---- sbrk, brk -------------------------------------------------------- */

/* A move of the end of the program's data. */
struct brk_move {
	uint64_t from, to, leaf, caller;
	struct hold hold;
};

/* The page that contains the old end keeps its owner. */
static void brk_grew_here(void *move, const struct regs *host)
{
	const struct brk_move *m = move;
	struct maker_call call = {.host = host,
				  .size = m->to - m->from,
				  .leaf = m->leaf,
				  .caller = m->caller,
				  .origin = ORIGIN_MMAP,
				  .usable = true};
	struct mappings_range range = {.start = ALIGN_UP(m->from, (uint64_t)PAGE_BYTES),
				       .end = ALIGN_UP(m->to, (uint64_t)PAGE_BYTES),
				       .tick = live_tick_now(),
				       .flags = MAPPINGS_USABLE};

	if (range.start >= range.end)
		return;
	uint32_t pin = pins_enter();
	struct maker maker = maker_find(&call);
	range.site = maker.site;
	range.kind = (uint8_t)maker.kind;
	mappings_map(&range);
	pins_leave(pin);
}

/* Holds what is about to be given back. */
static void brk_hold(struct brk_move *m)
{
	uint64_t start = ALIGN_UP(m->to, (uint64_t)PAGE_BYTES);

	if (start >= m->from)
		return;
	m->hold = (struct hold){.start = start, .bytes = m->from - start};
	recstack_run_anyhow(hold_here, &m->hold);
}

/* Records the move after the call. */
static void brk_moved(struct brk_move *m, bool failed)
{
	int before = errno;

	m->hold.failed = failed;
	if (m->hold.held)
		recstack_run_anyhow(settle_here, &m->hold);
	if (!failed && m->to > m->from)
		run(brk_grew_here, m);
	errno = before;
}

void *slow_sbrk(intptr_t increment, uint64_t caller)
{
	struct brk_move m = {.leaf = (uint64_t)real.sbrk, .caller = caller};

	if (increment < 0) {
		m.from = (uint64_t)real.sbrk(0);
		m.to = m.from + (uint64_t)increment;
		brk_hold(&m);
	}
	void *was = real.sbrk(increment);
	m.from = (uint64_t)was;
	m.to = m.from + (uint64_t)increment;
	brk_moved(&m, was == (void *)-1);
	return was;
}

int slow_brk(void *to, uint64_t caller)
{
	struct brk_move m = {.from = (uint64_t)real.sbrk(0),
			     .to = (uint64_t)to,
			     .leaf = (uint64_t)real.brk,
			     .caller = caller};

	brk_hold(&m);
	int result = real.brk(to);
	brk_moved(&m, result != 0);
	return result;
}
