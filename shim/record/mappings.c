/*
 * What the ranges mean: objects, their pieces, and the figures of their sites.
 *
 * Every change has the same form: the tree is split into what lies below a range, in it, and
 * above it (pieces that extend beyond the range are cut); the middle is changed; and the parts
 * are joined again, which merges equal neighbours into one node. So Go's heap, grown in steps of
 * 4 MiB, is one node, and a JIT that toggles the protection of its pages leaves no nodes behind.
 */
#include "record/mappings.h"

#include "record/live.h"
#include "record/mappings_fragment.h"
#include "record/mappings_lock.h"

/* ---- mapping ---------------------------------------------------------- */

void mappings_map(const struct mappings_range *range)
{
	uint64_t start = mappings_page(range->start), end = mappings_page_end(range->end, 0);

	if (start >= end || mappings_enter())
		return;
	struct mappings_parts p = mappings_take_apart(start, end);
	mappings_fragment_drop_all(p.middle);
	p.middle = mappings_tree_new();
	if (p.middle) {
		struct mappings_node *n = mappings_follow(p.middle);
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
	mappings_leave();
}

uint32_t mappings_hold(uint64_t start, uint64_t bytes)
{
	uint64_t end = mappings_page_end(start, bytes);

	start = mappings_page(start);
	if (start >= end || mappings_enter())
		return 0;
	struct mappings_parts p = mappings_take_apart(start, end);
	mappings_head()->root = mappings_tree_join(p.below, p.above);
	mappings_leave();
	return p.middle;
}

void mappings_drop(uint32_t held)
{
	if (!held || mappings_enter())
		return;
	mappings_fragment_drop_all(held);
	mappings_leave();
}

/* If anything is mapped there by now, it is newer and stays, and what is held is dropped. */
static void put_back(uint32_t held)
{
	uint32_t first = mappings_tree_at_least(held, 0);
	struct mappings_parts p = mappings_take_apart(
		mappings_follow(first)->start, mappings_follow(mappings_tree_last(held))->end);

	if (p.middle)
		mappings_fragment_drop_all(held);
	else
		p.middle = held;
	mappings_put_together(&p);
}

void mappings_restore(uint32_t held)
{
	if (!held || mappings_enter())
		return;
	put_back(held);
	mappings_leave();
}

void mappings_move(uint32_t held, uint64_t from, uint64_t to, uint64_t bytes)
{
	uint64_t limit = mappings_page_end(to, bytes);
	uint32_t tick = live_tick_now(), node;

	if (to >= limit || mappings_enter())
		return;
	struct mappings_parts p = mappings_take_apart(to, limit);
	mappings_fragment_drop_all(p.middle);
	p.middle = 0;
	while ((node = mappings_tree_take_first(&held))) {
		struct mappings_node *n = mappings_follow(node);
		n->start += to - from;
		n->end += to - from;
		n->tick = tick;
		if (mappings_fragment_trim(node, limit))
			p.middle = mappings_fragment_append(p.middle, node);
	}
	mappings_put_together(&p);
	mappings_leave();
}

/* For a node at [from, from + bytes), creates a copy at `to`; C memory goes to the caller's
 * site. */
static uint32_t duplicate(const struct mappings_node *n, uint64_t from, uint64_t to, uint64_t bytes,
			  uint32_t site)
{
	uint64_t start = n->start > from ? n->start : from;
	uint64_t end = n->end < from + bytes ? n->end : from + bytes;
	uint32_t copy = mappings_tree_new();

	if (copy)
		*mappings_follow(copy) = (struct mappings_node){
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

/* Source and destination do not overlap (the kernel refuses that), so the whole source is on
 * one side. */
void mappings_duplicate(uint64_t from, uint64_t to, uint64_t bytes, uint32_t site)
{
	uint64_t limit = mappings_page_end(to, bytes);
	uint32_t node, copy, last = 0;

	if (to >= limit || mappings_enter())
		return;
	bytes = limit - to;
	struct mappings_parts p = mappings_take_apart(to, limit);
	mappings_fragment_drop_all(p.middle);
	p.middle = 0;
	uint32_t source = from < to ? p.below : p.above;
	for (node = mappings_tree_above(source, from);
	     node && mappings_follow(node)->start < from + bytes;
	     node = mappings_tree_above(source, mappings_follow(node)->end)) {
		copy = duplicate(mappings_follow(node), from, to, bytes, site);
		if (!copy)
			continue;
		mappings_fragment_add(copy, last);
		if (mappings_fragment_is_counted(mappings_follow(copy)))
			last = copy;
		p.middle = mappings_tree_join(p.middle, copy);
	}
	mappings_put_together(&p);
	mappings_leave();
}

/* ---- protecting ------------------------------------------------------- */

static bool is_usable(const struct mappings_node *n)
{
	return n->flags & MAPPINGS_USABLE;
}

/* C memory that is not usable yet; files are never counted. */
static bool is_reserve(const struct mappings_node *n)
{
	return n->kind == MAPPINGS_C && !(n->flags & (MAPPINGS_USABLE | MAPPINGS_FILE));
}

static bool any_reserve(uint64_t start, uint64_t end)
{
	uint32_t node = mappings_above(start);

	while (node && mappings_follow(node)->start < end && !is_reserve(mappings_follow(node)))
		node = mappings_above(mappings_follow(node)->end);
	return node && mappings_follow(node)->start < end;
}

static bool any_differs(uint64_t start, uint64_t end, bool usable)
{
	uint32_t node = mappings_above(start);

	while (node && mappings_follow(node)->start < end &&
	       is_usable(mappings_follow(node)) == usable)
		node = mappings_above(mappings_follow(node)->end);
	return node && mappings_follow(node)->start < end;
}

bool mappings_wants_site(uint64_t start, uint64_t bytes)
{
	if (mappings_enter())
		return false;
	bool wants = any_reserve(mappings_page(start), mappings_page_end(start, bytes));
	mappings_leave();
	return wants;
}

static void make_unusable(uint32_t node)
{
	mappings_fragment_release(node);
	mappings_follow(node)->flags &= (uint8_t)~MAPPINGS_USABLE;
}

/*
 * C memory joins the object that this call makes, at its site; a thread's stack keeps its
 * creator's site. last: the object's latest piece, or 0. Returns the new latest piece.
 */
static uint32_t make_usable(uint32_t node, uint32_t site, uint32_t last)
{
	struct mappings_node *n = mappings_follow(node);
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
	uint64_t end = mappings_page_end(start, bytes);
	uint32_t changed = 0, last = 0, node;
	struct mappings_parts p;

	start = mappings_page(start);
	if (start >= end || mappings_enter())
		return;
	if (any_differs(start, end, usable)) {
		p = mappings_take_apart(start, end);
		while ((node = mappings_tree_take_first(&p.middle))) {
			if (is_usable(mappings_follow(node)) && !usable)
				make_unusable(node);
			else if (!is_usable(mappings_follow(node)) && usable)
				last = make_usable(node, site, last);
			changed = mappings_fragment_append(changed, node);
			if (last == node) /* which may have been merged into the node before it */
				last = mappings_tree_last(changed);
		}
		p.middle = changed;
		mappings_put_together(&p);
	}
	mappings_leave();
}

/* ---- threads' stacks -------------------------------------------------- */

void mappings_stack_ended(uint64_t address)
{
	if (mappings_enter())
		return;
	uint32_t node = mappings_above(address);
	if (node && mappings_follow(node)->start <= address &&
	    mappings_follow(node)->kind == MAPPINGS_THREAD_STACK) {
		mappings_fragment_release(node);
		mappings_follow(node)->kind = MAPPINGS_CACHED_STACK;
	}
	mappings_leave();
}
