/*
 * What the ranges mean: objects, their pieces, and the figures of their sites.
 *
 * Every change is the same: the tree is taken apart into what lies below a range,
 * in it, and above it (pieces that stick out are cut); the middle is changed; and
 * all is put together again, whereby neighbours that say the same become one
 * node.  So Go's heap, grown in steps of 4 MiB, is one node, and a JIT that
 * flips its pages' protection leaves none behind.
 */
#include "record/mappings.h"

#include "base/lock.h"
#include "record/live.h"
#include "record/mappings_fragment.h"

static struct lock lock;
static struct mappings_counters counters;

/* This thread holds the lock or waits for it: a signal handler on it must do neither. */
static __thread uint8_t inside __attribute__((tls_model("initial-exec")));

static void leave(void)
{
	lock_release(&lock);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	STORE(&inside, 0);
}

static bool enter(void)
{
	if (LOAD(&inside)) {
		ADD(&counters.interrupted, 1);
		return false;
	}
	STORE(&inside, 1);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	lock_take(&lock);
	if (mappings_tree_begin())
		return true;
	leave();
	return false;
}

struct mappings_counters mappings_counters(void)
{
	return (struct mappings_counters){.ranges = region ? LOAD(&mappings_head()->count) : 0,
					  .refused = region ? LOAD(&mappings_head()->refused) : 0,
					  .interrupted = LOAD(&counters.interrupted),
					  .uncaptured = LOAD(&counters.uncaptured)};
}

void mappings_count_uncaptured(void)
{
	ADD(&counters.uncaptured, 1);
}

void mappings_after_fork_in_child(void)
{
	lock = (struct lock){0};
	inside = 0;
}

bool mappings_before_fork(void)
{
	return enter();
}

void mappings_after_fork(void)
{
	leave();
}

void mappings_fork_abandoned(void)
{
	STORE(&inside, 0);
}

static uint64_t page_down(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Up to the last page there is: a range that would wrap around ends there. */
static uint64_t page_end(uint64_t start, uint64_t bytes)
{
	uint64_t end;
	if (__builtin_add_overflow(start, bytes, &end) || end > page_down(UINT64_MAX))
		return page_down(UINT64_MAX);
	return ALIGN_UP(end, (uint64_t)PAGE_BYTES);
}

/* The first node of a tree that ends above address. */
static uint32_t first_in(uint32_t tree, uint64_t address)
{
	uint32_t node = mappings_tree_at_most(tree, address);

	if (node && mappings_node(node)->end > address)
		return node;
	return mappings_tree_at_least(tree, address);
}

static uint32_t first_above(uint64_t address)
{
	return first_in(mappings_head()->root, address);
}

/* ---- mapping ---------------------------------------------------------- */

void mappings_map(const struct mappings_range *range)
{
	uint64_t start = page_down(range->start), end = page_end(range->end, 0);
	struct mappings_parts p;

	if (start >= end || !enter())
		return;
	p = mappings_take_apart(start, end);
	mappings_fragment_drop_all(p.middle);
	p.middle = mappings_tree_new();
	if (p.middle) {
		struct mappings_node *n = mappings_node(p.middle);
		n->start = start;
		n->end = end;
		n->site = range->site;
		n->tick = range->tick;
		n->thread = range->thread;
		n->kind = range->kind;
		n->flags = range->flags & (uint8_t)~MAPPINGS_HEAD;
		mappings_fragment_add(p.middle, 0);
	}
	mappings_put_together(&p);
	leave();
}

uint32_t mappings_hold(uint64_t start, uint64_t bytes)
{
	uint64_t end = page_end(start, bytes);
	struct mappings_parts p;

	start = page_down(start);
	if (start >= end || !enter())
		return 0;
	p = mappings_take_apart(start, end);
	mappings_head()->root = mappings_tree_join(p.below, p.above);
	leave();
	return p.middle;
}

void mappings_drop(uint32_t held)
{
	if (!held || !enter())
		return;
	mappings_fragment_drop_all(held);
	leave();
}

void mappings_unmap(uint64_t start, uint64_t bytes)
{
	mappings_drop(mappings_hold(start, bytes));
}

/* What is there by now was mapped later, and stays: the caller holds nothing in its place. */
static void put_back(uint32_t held)
{
	uint32_t first = mappings_tree_at_least(held, 0);
	struct mappings_parts p = mappings_take_apart(mappings_node(first)->start,
						      mappings_node(mappings_tree_last(held))->end);

	if (p.middle)
		mappings_fragment_drop_all(held);
	else
		p.middle = held;
	mappings_put_together(&p);
}

void mappings_restore(uint32_t held)
{
	if (!held || !enter())
		return;
	put_back(held);
	leave();
}

void mappings_move(uint32_t held, uint64_t from, uint64_t to, uint64_t bytes)
{
	uint64_t limit = page_end(to, bytes);
	uint32_t tick = live_tick_now(), node;
	struct mappings_parts p;

	if (to >= limit || !enter())
		return;
	p = mappings_take_apart(to, limit);
	mappings_fragment_drop_all(p.middle);
	p.middle = 0;
	while ((node = mappings_tree_take_first(&held))) {
		struct mappings_node *n = mappings_node(node);
		n->start += to - from;
		n->end += to - from;
		n->tick = tick;
		if (mappings_fragment_trim(node, limit))
			p.middle = mappings_fragment_append(p.middle, node);
	}
	mappings_put_together(&p);
	leave();
}

/* Of a node at [from, from + bytes), the same at `to`; C's is the caller's. */
static uint32_t duplicate(const struct mappings_node *n, uint64_t from, uint64_t to, uint64_t bytes,
			  uint32_t site)
{
	uint64_t start = n->start > from ? n->start : from;
	uint64_t end = n->end < from + bytes ? n->end : from + bytes;
	uint32_t copy = mappings_tree_new();

	if (copy)
		*mappings_node(copy) = (struct mappings_node){
			.start = start - from + to,
			.end = end - from + to,
			.ring_next = copy,
			.ring_prev = copy,
			.site = n->kind == MAPPINGS_C && !(n->flags & MAPPINGS_FILE) ? site : 0,
			.tick = live_tick_now(),
			.kind = n->kind,
			.flags = n->flags & (uint8_t)~MAPPINGS_HEAD};
	return copy;
}

/* Source and destination do not overlap (the kernel refuses), so that one side has all the source.
 */
void mappings_duplicate(uint64_t from, uint64_t to, uint64_t bytes, uint32_t site)
{
	uint64_t limit = page_end(to, bytes);
	uint32_t source, node, copy, last = 0;
	struct mappings_parts p;

	if (to >= limit || !enter())
		return;
	bytes = limit - to;
	p = mappings_take_apart(to, limit);
	mappings_fragment_drop_all(p.middle);
	p.middle = 0;
	source = from < to ? p.below : p.above;
	for (node = first_in(source, from); node && mappings_node(node)->start < from + bytes;
	     node = first_in(source, mappings_node(node)->end)) {
		copy = duplicate(mappings_node(node), from, to, bytes, site);
		if (!copy)
			continue;
		mappings_fragment_add(copy, last);
		if (mappings_fragment_is_counted(mappings_node(copy)))
			last = copy;
		p.middle = mappings_tree_join(p.middle, copy);
	}
	mappings_put_together(&p);
	leave();
}

/* ---- protecting ------------------------------------------------------- */

static bool is_usable(const struct mappings_node *n)
{
	return n->flags & MAPPINGS_USABLE;
}

/* C's memory that is not usable yet; of files nobody counts anything. */
static bool is_reserve(const struct mappings_node *n)
{
	return n->kind == MAPPINGS_C && !(n->flags & (MAPPINGS_USABLE | MAPPINGS_FILE));
}

static bool any_reserve(uint64_t start, uint64_t end)
{
	uint32_t node = first_above(start);

	while (node && mappings_node(node)->start < end && !is_reserve(mappings_node(node)))
		node = first_above(mappings_node(node)->end);
	return node && mappings_node(node)->start < end;
}

static bool any_differs(uint64_t start, uint64_t end, bool usable)
{
	uint32_t node = first_above(start);

	while (node && mappings_node(node)->start < end && is_usable(mappings_node(node)) == usable)
		node = first_above(mappings_node(node)->end);
	return node && mappings_node(node)->start < end;
}

bool mappings_wants_site(uint64_t start, uint64_t bytes)
{
	bool wants;

	if (!enter())
		return false;
	wants = any_reserve(page_down(start), page_end(start, bytes));
	leave();
	return wants;
}

static void make_unusable(uint32_t node)
{
	mappings_fragment_release(node);
	mappings_node(node)->flags &= (uint8_t)~MAPPINGS_USABLE;
}

/*
 * C's memory joins the object that this call makes, at its site; a thread's
 * stack stays its creator's.  last: the object's latest piece, or 0; the result
 * is the latest from now on.
 */
static uint32_t make_usable(uint32_t node, uint32_t site, uint32_t last)
{
	struct mappings_node *n = mappings_node(node);
	bool joins = is_reserve(n);

	n->flags |= MAPPINGS_USABLE;
	if (joins) {
		n->site = site;
		n->tick = live_tick_now();
	}
	mappings_fragment_add(node, joins ? last : 0);
	return joins && mappings_fragment_is_counted(n) ? node : last;
}

void mappings_protect(uint64_t start, uint64_t bytes, bool usable, uint32_t site)
{
	uint64_t end = page_end(start, bytes);
	uint32_t changed = 0, last = 0, node;
	struct mappings_parts p;

	start = page_down(start);
	if (start >= end || !enter())
		return;
	if (any_differs(start, end, usable)) {
		p = mappings_take_apart(start, end);
		while ((node = mappings_tree_take_first(&p.middle))) {
			if (is_usable(mappings_node(node)) && !usable)
				make_unusable(node);
			else if (!is_usable(mappings_node(node)) && usable)
				last = make_usable(node, site, last);
			changed = mappings_fragment_append(changed, node);
			if (last == node) /* which may be one with the node before it by now */
				last = mappings_tree_last(changed);
		}
		p.middle = changed;
		mappings_put_together(&p);
	}
	leave();
}

/* ---- threads' stacks -------------------------------------------------- */

void mappings_stack_ended(uint64_t address)
{
	uint32_t node;

	if (!enter())
		return;
	node = first_above(address);
	if (node && mappings_node(node)->start <= address &&
	    mappings_node(node)->kind == MAPPINGS_THREAD_STACK) {
		mappings_fragment_release(node);
		mappings_node(node)->kind = MAPPINGS_CACHED_STACK;
	}
	leave();
}

/* ---- reading ---------------------------------------------------------- */

static struct mappings_range range_of(const struct mappings_node *n)
{
	return (struct mappings_range){.start = n->start,
				       .end = n->end,
				       .site = n->site,
				       .tick = n->tick,
				       .kind = n->kind,
				       .flags = n->flags,
				       .thread = n->thread};
}

bool mappings_find(uint64_t address, struct mappings_range *out)
{
	uint32_t node;
	bool found;

	if (!enter())
		return false;
	node = first_above(address);
	found = node && mappings_node(node)->start <= address;
	if (found)
		*out = range_of(mappings_node(node));
	leave();
	return found;
}

/* So many under one hold of the lock: some ten microseconds. */
#define COPY_AT_ONCE 64

/* Ranges that end above *address; *address is then where to go on.  How many; fewer than room: all.
 */
static size_t copy_some(uint64_t *address, struct mappings_range *out, size_t room)
{
	size_t n = 0;

	if (!enter())
		return 0;
	for (uint32_t node = first_above(*address); node && n < room;
	     node = first_above(*address)) {
		out[n++] = range_of(mappings_node(node));
		*address = mappings_node(node)->end;
	}
	leave();
	return n;
}

/* False: there was not room for all. */
static bool copy_all(struct mappings_range *list, size_t room, size_t *count)
{
	uint64_t address = 0;
	size_t n = 0, got, at_once;

	do {
		at_once = room - n < COPY_AT_ONCE ? room - n : COPY_AT_ONCE;
		got = copy_some(&address, list + n, at_once);
		n += got;
	} while (got == at_once && n < room);
	*count = n;
	return n < room;
}

long mappings_copy(struct scratch *scratch, struct mappings_range **out)
{
	size_t room, count = 0;

	do {
		/* What is mapped meanwhile wants room too. */
		room = (size_t)mappings_counters().ranges * 5 / 4 + 64;
		*out = scratch_alloc(scratch, room * sizeof **out);
		if (!*out)
			return -1;
	} while (!copy_all(*out, room, &count));
	return (long)count;
}

void mappings_each_site(void (*visit)(uint32_t site))
{
	struct mappings_range some[COPY_AT_ONCE];
	uint64_t address = 0;
	size_t n;

	do {
		n = copy_some(&address, some, COPY_AT_ONCE);
		for (size_t i = 0; i < n; i++)
			visit(some[i].site);
	} while (n == COPY_AT_ONCE);
}

/* ---- reconciling ------------------------------------------------------ */

/* Whether something old lies in the gap.  A damaged tree must not lead in circles: always upwards.
 */
static bool any_older(uint64_t start, uint64_t end, uint32_t since)
{
	for (uint64_t at = start;;) {
		uint32_t node = first_above(at);
		const struct mappings_node *n = mappings_node(node);
		if (!node || n->start >= end)
			return false;
		if (n->tick < since)
			return true;
		if (n->end <= at)
			return false;
		at = n->end;
	}
}

static uint64_t forget_gap(uint64_t start, uint64_t end, uint32_t since)
{
	uint64_t bytes = 0;
	uint32_t kept = 0, node;
	struct mappings_parts p;

	if (start >= end || !enter())
		return 0;
	if (any_older(start, end, since)) {
		p = mappings_take_apart(start, end);
		while ((node = mappings_tree_take_first(&p.middle))) {
			const struct mappings_node *n = mappings_node(node);
			if (n->tick >= since) {
				kept = mappings_fragment_append(kept, node);
				continue;
			}
			bytes += n->end - n->start;
			mappings_fragment_release(node);
			mappings_tree_free(node);
		}
		p.middle = kept;
		mappings_put_together(&p);
	}
	leave();
	return bytes;
}

uint64_t mappings_reconcile(const struct mappings_span *mapped, size_t count, uint32_t since_tick)
{
	uint64_t bytes = 0, end = 0;

	for (size_t i = 0; i < count; i++) {
		bytes += forget_gap(end, mapped[i].start, since_tick);
		end = mapped[i].end;
	}
	return bytes + forget_gap(end, page_down(UINT64_MAX), since_tick);
}
