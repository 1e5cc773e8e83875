/* See mappings_fragment.h. */
#include "record/mappings_fragment.h"

#include "record/peak.h"
#include "record/sample.h"
#include "record/stacks.h"

/* ---- objects ---------------------------------------------------------- */

bool mappings_fragment_is_counted(const struct mappings_node *n)
{
	return mappings_counts(n->site, n->kind, n->flags);
}

static struct weight weight_of(bool object, uint64_t bytes)
{
	return (struct weight){.objects_fx = (uint64_t)object << WEIGHT_OBJECT_BITS,
			       .bytes_fx = bytes << WEIGHT_BYTE_BITS};
}

static void count_alloc(const struct mappings_node *n, struct weight w)
{
	struct site *s = site_at(n->site);

	if (s->origin == ORIGIN_THREAD_STACK)
		site_add_alloc(s, w);
	else
		peak_add_alloc(s, w);
}

static void count_free(const struct mappings_node *n, struct weight w)
{
	struct site *s = site_at(n->site);

	if (s->origin == ORIGIN_THREAD_STACK)
		site_add_free(s, w);
	else
		peak_add_free(s, w);
}

static void ring_insert(uint32_t node, uint32_t after)
{
	uint32_t next = mappings_follow(after)->ring_next;

	mappings_follow(node)->ring_prev = after;
	mappings_follow(node)->ring_next = next;
	mappings_follow(next)->ring_prev = node;
	mappings_follow(after)->ring_next = node;
}

static void ring_leave(uint32_t node)
{
	struct mappings_node *n = mappings_follow(node);

	mappings_follow(n->ring_prev)->ring_next = n->ring_next;
	mappings_follow(n->ring_next)->ring_prev = n->ring_prev;
	n->ring_next = n->ring_prev = node;
}

void mappings_fragment_add(uint32_t node, uint32_t last)
{
	struct mappings_node *n = mappings_follow(node);

	if (!mappings_fragment_is_counted(n))
		return;
	if (last)
		ring_insert(node, last);
	else
		n->flags |= MAPPINGS_HEAD;
	count_alloc(n, weight_of(!last, n->end - n->start));
}

void mappings_fragment_release(uint32_t node)
{
	struct mappings_node *n = mappings_follow(node);
	bool is_last = n->ring_next == node;

	if (!mappings_fragment_is_counted(n))
		return;
	count_free(n, weight_of(is_last, n->end - n->start));
	mappings_follow(n->ring_next)->flags |= n->flags & MAPPINGS_HEAD;
	ring_leave(node);
	n->flags &= (uint8_t)~MAPPINGS_HEAD;
}

void mappings_fragment_drop_all(uint32_t tree)
{
	uint32_t node;

	while ((node = mappings_tree_take_first(&tree))) {
		mappings_fragment_release(node);
		mappings_tree_free(node);
	}
}

/* ---- cutting and joining ---------------------------------------------- */

/* Splits off the part of a node from `at` on as a new node. 0: no room, and that part is
 * forgotten. */
static uint32_t cut(uint32_t node, uint64_t at)
{
	struct mappings_node *n = mappings_follow(node);
	struct mappings_node whole = *n;
	uint32_t rest = mappings_tree_new();

	n->end = at;
	if (!rest) {
		if (mappings_fragment_is_counted(n))
			count_free(n, weight_of(false, whole.end - at));
		return 0;
	}
	whole.start = at;
	whole.left = whole.right = 0;
	whole.ring_next = whole.ring_prev = rest;
	whole.flags &= (uint8_t)~MAPPINGS_HEAD;
	*mappings_follow(rest) = whole;
	if (mappings_fragment_is_counted(n))
		ring_insert(rest, node);
	return rest;
}

struct mappings_parts mappings_take_apart(uint64_t start, uint64_t end)
{
	struct mappings_parts p;
	uint32_t rest;

	mappings_tree_split(mappings_head()->root, start, &p.below, &rest);
	uint32_t last = mappings_tree_last(p.below);
	if (last && mappings_follow(last)->end > start)
		rest = mappings_tree_join(cut(last, start), rest);
	mappings_tree_split(rest, end, &p.middle, &p.above);
	last = mappings_tree_last(p.middle);
	if (last && mappings_follow(last)->end > end)
		p.above = mappings_tree_join(cut(last, end), p.above);
	return p;
}

/* Pieces of two objects never merge; ranges that are not counted merge if they are otherwise
 * equal. */
static bool can_join(uint32_t left, uint32_t right)
{
	const struct mappings_node *a = mappings_follow(left), *b = mappings_follow(right);

	return a->end == b->start && a->kind == b->kind && a->site == b->site &&
	       a->thread == b->thread && !((a->flags ^ b->flags) & ~MAPPINGS_HEAD) &&
	       (!mappings_fragment_is_counted(a) || a->ring_next == right);
}

uint32_t mappings_fragment_append(uint32_t tree, uint32_t node)
{
	uint32_t last = mappings_tree_last(tree);
	struct mappings_node *n = mappings_follow(node), *l;

	if (!last || !can_join(last, node))
		return mappings_tree_join(tree, node);
	l = mappings_follow(last);
	l->end = n->end;
	l->flags |= n->flags;
	/* Keep the newer: reconciling spares ranges that may be newer than its view. */
	if (n->tick > l->tick)
		l->tick = n->tick;
	ring_leave(node);
	mappings_tree_free(node);
	return tree;
}

void mappings_put_together(struct mappings_parts *p)
{
	uint32_t tree = p->below, node;

	while ((node = mappings_tree_take_first(&p->middle)))
		tree = mappings_fragment_append(tree, node);
	node = mappings_tree_take_first(&p->above);
	if (node)
		tree = mappings_fragment_append(tree, node);
	mappings_head()->root = mappings_tree_join(tree, p->above);
}

bool mappings_fragment_trim(uint32_t node, uint64_t limit)
{
	struct mappings_node *n = mappings_follow(node);

	if (n->start >= limit) {
		mappings_fragment_release(node);
		mappings_tree_free(node);
		return false;
	}
	if (n->end > limit) {
		if (mappings_fragment_is_counted(n))
			count_free(n, weight_of(false, n->end - limit));
		n->end = limit;
	}
	return true;
}
