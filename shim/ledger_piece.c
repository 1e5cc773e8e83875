/* See ledger_piece.h. */
#include "ledger_piece.h"

#include "sample.h"
#include "stacks.h"

/* ---- objects ---------------------------------------------------------- */

static bool is_counted(uint32_t site, uint8_t kind, uint8_t flags)
{
	return site && (flags & (LEDGER_USABLE | LEDGER_FILE)) == LEDGER_USABLE &&
	       (kind == LEDGER_C || kind == LEDGER_THREAD_STACK);
}

bool ledger_is_counted(const struct ledger_range *range)
{
	return is_counted(range->site, range->kind, range->flags);
}

bool ledger_piece_is_counted(const struct ledger_node *n)
{
	return is_counted(n->site, n->kind, n->flags);
}

static struct weight weight_of(bool object, uint64_t bytes)
{
	return (struct weight){.objects_fx = (uint64_t)object << WEIGHT_OBJECT_BITS,
			       .bytes_fx = bytes << WEIGHT_BYTE_BITS};
}

static void ring_insert(uint32_t node, uint32_t after)
{
	uint32_t next = ledger_node(after)->ring_next;

	ledger_node(node)->ring_prev = after;
	ledger_node(node)->ring_next = next;
	ledger_node(next)->ring_prev = node;
	ledger_node(after)->ring_next = node;
}

static void ring_leave(uint32_t node)
{
	struct ledger_node *n = ledger_node(node);

	ledger_node(n->ring_prev)->ring_next = n->ring_next;
	ledger_node(n->ring_next)->ring_prev = n->ring_prev;
	n->ring_next = n->ring_prev = node;
}

void ledger_piece_add(uint32_t node, uint32_t last)
{
	struct ledger_node *n = ledger_node(node);

	if (!ledger_piece_is_counted(n))
		return;
	if (last)
		ring_insert(node, last);
	else
		n->flags |= LEDGER_HEAD;
	site_add_alloc(site_at(n->site), weight_of(!last, n->end - n->start));
}

void ledger_piece_release(uint32_t node)
{
	struct ledger_node *n = ledger_node(node);
	bool is_last = n->ring_next == node;

	if (!ledger_piece_is_counted(n))
		return;
	site_add_free(site_at(n->site), weight_of(is_last, n->end - n->start));
	ledger_node(n->ring_next)->flags |= n->flags & LEDGER_HEAD;
	ring_leave(node);
	n->flags &= (uint8_t)~LEDGER_HEAD;
}

void ledger_piece_drop_all(uint32_t tree)
{
	uint32_t node;

	while ((node = ledger_tree_take_first(&tree))) {
		ledger_piece_release(node);
		ledger_tree_free(node);
	}
}

/* ---- cutting and joining ---------------------------------------------- */

/* The part of a node from `at` on, as a node of its own; 0: no room, and that part is forgotten. */
static uint32_t cut(uint32_t node, uint64_t at)
{
	struct ledger_node *n = ledger_node(node);
	struct ledger_node whole = *n;
	uint32_t rest = ledger_tree_new();

	n->end = at;
	if (!rest) {
		if (ledger_piece_is_counted(n))
			site_add_free(site_at(n->site), weight_of(false, whole.end - at));
		return 0;
	}
	whole.start = at;
	whole.left = whole.right = 0;
	whole.ring_next = whole.ring_prev = rest;
	whole.flags &= (uint8_t)~LEDGER_HEAD;
	*ledger_node(rest) = whole;
	if (ledger_piece_is_counted(n))
		ring_insert(rest, node);
	return rest;
}

struct ledger_parts ledger_take_apart(uint64_t start, uint64_t end)
{
	struct ledger_parts p;
	uint32_t rest, last;

	ledger_tree_split(ledger_head()->root, start, &p.below, &rest);
	last = ledger_tree_last(p.below);
	if (last && ledger_node(last)->end > start)
		rest = ledger_tree_join(cut(last, start), rest);
	ledger_tree_split(rest, end, &p.middle, &p.above);
	last = ledger_tree_last(p.middle);
	if (last && ledger_node(last)->end > end)
		p.above = ledger_tree_join(cut(last, end), p.above);
	return p;
}

/* Pieces of two objects never become one; what is not counted does when all it says is the same. */
static bool can_join(uint32_t left, uint32_t right)
{
	const struct ledger_node *a = ledger_node(left), *b = ledger_node(right);

	return a->end == b->start && a->kind == b->kind && a->site == b->site &&
	       a->thread == b->thread && !((a->flags ^ b->flags) & ~LEDGER_HEAD) &&
	       (!ledger_piece_is_counted(a) || a->ring_next == right);
}

uint32_t ledger_piece_append(uint32_t tree, uint32_t node)
{
	uint32_t last = ledger_tree_last(tree);
	struct ledger_node *n = ledger_node(node), *l;

	if (!last || !can_join(last, node))
		return ledger_tree_join(tree, node);
	l = ledger_node(last);
	l->end = n->end;
	l->flags |= n->flags;
	/* The newer: reconciling spares what may be newer than its view. */
	if (n->tick > l->tick)
		l->tick = n->tick;
	ring_leave(node);
	ledger_tree_free(node);
	return tree;
}

void ledger_put_together(struct ledger_parts *p)
{
	uint32_t tree = p->below, node;

	while ((node = ledger_tree_take_first(&p->middle)))
		tree = ledger_piece_append(tree, node);
	node = ledger_tree_take_first(&p->above);
	if (node)
		tree = ledger_piece_append(tree, node);
	ledger_head()->root = ledger_tree_join(tree, p->above);
}

bool ledger_piece_trim(uint32_t node, uint64_t limit)
{
	struct ledger_node *n = ledger_node(node);

	if (n->start >= limit) {
		ledger_piece_release(node);
		ledger_tree_free(node);
		return false;
	}
	if (n->end > limit) {
		if (ledger_piece_is_counted(n))
			site_add_free(site_at(n->site), weight_of(false, n->end - limit));
		n->end = limit;
	}
	return true;
}
