/*
 * What the ranges mean: objects, their pieces, and the figures of their sites.
 *
 * Every change is the same: the tree is taken apart into what lies below a range,
 * in it, and above it (pieces that stick out are cut); the middle is changed; and
 * all is put together again, whereby neighbours that say the same become one
 * node.  So Go's heap, grown in steps of 4 MiB, is one node, and a JIT that
 * flips its pages' protection leaves none behind.
 */
#include "ledger.h"

#include "ledger_piece.h"
#include "live.h"
#include "lock.h"

static struct lock lock;
static struct ledger_counters counters;

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
	if (ledger_tree_begin())
		return true;
	leave();
	return false;
}

struct ledger_counters ledger_counters(void)
{
	return (struct ledger_counters){.ranges = region ? LOAD(&ledger_head()->count) : 0,
					.refused = region ? LOAD(&ledger_head()->refused) : 0,
					.interrupted = LOAD(&counters.interrupted),
					.uncaptured = LOAD(&counters.uncaptured)};
}

void ledger_count_uncaptured(void)
{
	ADD(&counters.uncaptured, 1);
}

void ledger_after_fork_in_child(void)
{
	lock = (struct lock){0};
	inside = 0;
}

bool ledger_before_fork(void)
{
	return enter();
}

void ledger_after_fork(void)
{
	leave();
}

void ledger_fork_abandoned(void)
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
	uint32_t node = ledger_tree_at_most(tree, address);

	if (node && ledger_node(node)->end > address)
		return node;
	return ledger_tree_at_least(tree, address);
}

static uint32_t first_above(uint64_t address)
{
	return first_in(ledger_head()->root, address);
}

/* ---- mapping ---------------------------------------------------------- */

void ledger_map(const struct ledger_range *range)
{
	uint64_t start = page_down(range->start), end = page_end(range->end, 0);
	struct ledger_parts p;

	if (start >= end || !enter())
		return;
	p = ledger_take_apart(start, end);
	ledger_piece_drop_all(p.middle);
	p.middle = ledger_tree_new();
	if (p.middle) {
		struct ledger_node *n = ledger_node(p.middle);
		n->start = start;
		n->end = end;
		n->site = range->site;
		n->tick = range->tick;
		n->thread = range->thread;
		n->kind = range->kind;
		n->flags = range->flags & (uint8_t)~LEDGER_HEAD;
		ledger_piece_add(p.middle, 0);
	}
	ledger_put_together(&p);
	leave();
}

uint32_t ledger_hold(uint64_t start, uint64_t bytes)
{
	uint64_t end = page_end(start, bytes);
	struct ledger_parts p;

	start = page_down(start);
	if (start >= end || !enter())
		return 0;
	p = ledger_take_apart(start, end);
	ledger_head()->root = ledger_tree_join(p.below, p.above);
	leave();
	return p.middle;
}

void ledger_drop(uint32_t held)
{
	if (!held || !enter())
		return;
	ledger_piece_drop_all(held);
	leave();
}

void ledger_unmap(uint64_t start, uint64_t bytes)
{
	ledger_drop(ledger_hold(start, bytes));
}

/* What is there by now was mapped later, and stays: the caller holds nothing in its place. */
static void put_back(uint32_t held)
{
	uint32_t first = ledger_tree_at_least(held, 0);
	struct ledger_parts p = ledger_take_apart(ledger_node(first)->start,
						  ledger_node(ledger_tree_last(held))->end);

	if (p.middle)
		ledger_piece_drop_all(held);
	else
		p.middle = held;
	ledger_put_together(&p);
}

void ledger_restore(uint32_t held)
{
	if (!held || !enter())
		return;
	put_back(held);
	leave();
}

void ledger_move(uint32_t held, uint64_t from, uint64_t to, uint64_t bytes)
{
	uint64_t limit = page_end(to, bytes);
	uint32_t tick = live_tick_now(), node;
	struct ledger_parts p;

	if (to >= limit || !enter())
		return;
	p = ledger_take_apart(to, limit);
	ledger_piece_drop_all(p.middle);
	p.middle = 0;
	while ((node = ledger_tree_take_first(&held))) {
		struct ledger_node *n = ledger_node(node);
		n->start += to - from;
		n->end += to - from;
		n->tick = tick;
		if (ledger_piece_trim(node, limit))
			p.middle = ledger_piece_append(p.middle, node);
	}
	ledger_put_together(&p);
	leave();
}

/* Of a node at [from, from + bytes), the same at `to`; C's is the caller's. */
static uint32_t duplicate(const struct ledger_node *n, uint64_t from, uint64_t to, uint64_t bytes,
			  uint32_t site)
{
	uint64_t start = n->start > from ? n->start : from;
	uint64_t end = n->end < from + bytes ? n->end : from + bytes;
	uint32_t copy = ledger_tree_new();

	if (copy)
		*ledger_node(copy) = (struct ledger_node){
			.start = start - from + to,
			.end = end - from + to,
			.ring_next = copy,
			.ring_prev = copy,
			.site = n->kind == LEDGER_C && !(n->flags & LEDGER_FILE) ? site : 0,
			.tick = live_tick_now(),
			.kind = n->kind,
			.flags = n->flags & (uint8_t)~LEDGER_HEAD};
	return copy;
}

/* Source and destination do not overlap (the kernel refuses), so that one side has all the source.
 */
void ledger_duplicate(uint64_t from, uint64_t to, uint64_t bytes, uint32_t site)
{
	uint64_t limit = page_end(to, bytes);
	uint32_t source, node, copy, last = 0;
	struct ledger_parts p;

	if (to >= limit || !enter())
		return;
	bytes = limit - to;
	p = ledger_take_apart(to, limit);
	ledger_piece_drop_all(p.middle);
	p.middle = 0;
	source = from < to ? p.below : p.above;
	for (node = first_in(source, from); node && ledger_node(node)->start < from + bytes;
	     node = first_in(source, ledger_node(node)->end)) {
		copy = duplicate(ledger_node(node), from, to, bytes, site);
		if (!copy)
			continue;
		ledger_piece_add(copy, last);
		if (ledger_piece_is_counted(ledger_node(copy)))
			last = copy;
		p.middle = ledger_tree_join(p.middle, copy);
	}
	ledger_put_together(&p);
	leave();
}

/* ---- protecting ------------------------------------------------------- */

static bool is_usable(const struct ledger_node *n)
{
	return n->flags & LEDGER_USABLE;
}

/* C's memory that is not usable yet; of files nobody counts anything. */
static bool is_reserve(const struct ledger_node *n)
{
	return n->kind == LEDGER_C && !(n->flags & (LEDGER_USABLE | LEDGER_FILE));
}

static bool any_reserve(uint64_t start, uint64_t end)
{
	uint32_t node = first_above(start);

	while (node && ledger_node(node)->start < end && !is_reserve(ledger_node(node)))
		node = first_above(ledger_node(node)->end);
	return node && ledger_node(node)->start < end;
}

static bool any_differs(uint64_t start, uint64_t end, bool usable)
{
	uint32_t node = first_above(start);

	while (node && ledger_node(node)->start < end && is_usable(ledger_node(node)) == usable)
		node = first_above(ledger_node(node)->end);
	return node && ledger_node(node)->start < end;
}

bool ledger_wants_site(uint64_t start, uint64_t bytes)
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
	ledger_piece_release(node);
	ledger_node(node)->flags &= (uint8_t)~LEDGER_USABLE;
}

/*
 * C's memory joins the object that this call makes, at its site; a thread's
 * stack stays its creator's.  last: the object's latest piece, or 0; the result
 * is the latest from now on.
 */
static uint32_t make_usable(uint32_t node, uint32_t site, uint32_t last)
{
	struct ledger_node *n = ledger_node(node);
	bool joins = is_reserve(n);

	n->flags |= LEDGER_USABLE;
	if (joins) {
		n->site = site;
		n->tick = live_tick_now();
	}
	ledger_piece_add(node, joins ? last : 0);
	return joins && ledger_piece_is_counted(n) ? node : last;
}

void ledger_protect(uint64_t start, uint64_t bytes, bool usable, uint32_t site)
{
	uint64_t end = page_end(start, bytes);
	uint32_t changed = 0, last = 0, node;
	struct ledger_parts p;

	start = page_down(start);
	if (start >= end || !enter())
		return;
	if (any_differs(start, end, usable)) {
		p = ledger_take_apart(start, end);
		while ((node = ledger_tree_take_first(&p.middle))) {
			if (is_usable(ledger_node(node)) && !usable)
				make_unusable(node);
			else if (!is_usable(ledger_node(node)) && usable)
				last = make_usable(node, site, last);
			changed = ledger_piece_append(changed, node);
		}
		p.middle = changed;
		ledger_put_together(&p);
	}
	leave();
}

/* ---- threads' stacks -------------------------------------------------- */

void ledger_stack_ended(uint64_t address)
{
	uint32_t node;

	if (!enter())
		return;
	node = first_above(address);
	if (node && ledger_node(node)->start <= address &&
	    ledger_node(node)->kind == LEDGER_THREAD_STACK) {
		ledger_piece_release(node);
		ledger_node(node)->kind = LEDGER_CACHED_STACK;
	}
	leave();
}

/* ---- reading ---------------------------------------------------------- */

static struct ledger_range range_of(const struct ledger_node *n)
{
	return (struct ledger_range){.start = n->start,
				     .end = n->end,
				     .site = n->site,
				     .tick = n->tick,
				     .kind = n->kind,
				     .flags = n->flags,
				     .thread = n->thread};
}

bool ledger_find(uint64_t address, struct ledger_range *out)
{
	uint32_t node;
	bool found;

	if (!enter())
		return false;
	node = first_above(address);
	found = node && ledger_node(node)->start <= address;
	if (found)
		*out = range_of(ledger_node(node));
	leave();
	return found;
}

/* So many under one hold of the lock: some ten microseconds. */
#define COPY_AT_ONCE 64

/* Ranges that end above *address; *address is then where to go on.  How many; fewer than room: all.
 */
static size_t copy_some(uint64_t *address, struct ledger_range *out, size_t room)
{
	size_t n = 0;

	if (!enter())
		return 0;
	for (uint32_t node = first_above(*address); node && n < room;
	     node = first_above(*address)) {
		out[n++] = range_of(ledger_node(node));
		*address = ledger_node(node)->end;
	}
	leave();
	return n;
}

/* False: there was not room for all. */
static bool copy_all(struct ledger_range *list, size_t room, size_t *count)
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

long ledger_copy(struct scratch *scratch, struct ledger_range **out)
{
	size_t room, count = 0;

	do {
		/* What is mapped meanwhile wants room too. */
		room = (size_t)ledger_counters().ranges * 5 / 4 + 64;
		*out = scratch_alloc(scratch, room * sizeof **out);
		if (!*out)
			return -1;
	} while (!copy_all(*out, room, &count));
	return (long)count;
}

void ledger_each_site(void (*visit)(uint32_t site))
{
	struct ledger_range some[COPY_AT_ONCE];
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
		const struct ledger_node *n = ledger_node(node);
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
	struct ledger_parts p;

	if (start >= end || !enter())
		return 0;
	if (any_older(start, end, since)) {
		p = ledger_take_apart(start, end);
		while ((node = ledger_tree_take_first(&p.middle))) {
			const struct ledger_node *n = ledger_node(node);
			if (n->tick >= since) {
				kept = ledger_piece_append(kept, node);
				continue;
			}
			bytes += n->end - n->start;
			ledger_piece_release(node);
			ledger_tree_free(node);
		}
		p.middle = kept;
		ledger_put_together(&p);
	}
	leave();
	return bytes;
}

uint64_t ledger_reconcile(const struct ledger_span *mapped, size_t count, uint32_t since_tick)
{
	uint64_t bytes = 0, end = 0;

	for (size_t i = 0; i < count; i++) {
		bytes += forget_gap(end, mapped[i].start, since_tick);
		end = mapped[i].end;
	}
	return bytes + forget_gap(end, page_down(UINT64_MAX), since_tick);
}
