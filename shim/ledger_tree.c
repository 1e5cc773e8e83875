/* See ledger_tree.h. */
#include "ledger_tree.h"

#include <assert.h>

#include "region.h"

static_assert(sizeof(struct ledger_node) == 48, "region layout");
static_assert(sizeof(struct ledger_head) == sizeof(struct ledger_node), "it takes a node's place");

struct ledger_head *ledger_head(void)
{
	return region_at(region_layout.ledger.offset);
}

/*
 * Links lie where a host with a wild pointer can reach them.  One that leads
 * nowhere, or more steps than any sound tree has, ends the ledger for good: a
 * node without children, so that every walk ends there.
 */
#define STEPS_PER_NODE 256
#define STEPS_AT_LEAST 4096

static struct ledger_node nowhere;
static size_t steps;
static bool broken;

bool ledger_tree_begin(void)
{
	steps = 0;
	return !broken;
}

struct ledger_node *ledger_node(uint32_t node)
{
	size_t room = region_layout.ledger.bytes / sizeof(struct ledger_node);

	if (unlikely(node >= room || steps++ > STEPS_AT_LEAST + STEPS_PER_NODE * room)) {
		broken = true;
		nowhere = (struct ledger_node){0};
		return &nowhere;
	}
	return (struct ledger_node *)region_at(region_layout.ledger.offset) + node;
}

/* ---- the pool --------------------------------------------------------- */

/* Freed nodes first: what is resident follows what is used. */
uint32_t ledger_tree_new(void)
{
	struct ledger_head *h = ledger_head();
	uint32_t node = h->free;

	if (node) {
		h->free = ledger_node(node)->left;
	} else {
		node = h->unused ? h->unused : 1;
		if (node >= region_layout.ledger.bytes / sizeof(struct ledger_node)) {
			ADD(&h->refused, 1);
			return 0;
		}
		h->unused = node + 1;
	}
	STORE(&h->count, h->count + 1);
	*ledger_node(node) = (struct ledger_node){.ring_next = node, .ring_prev = node};
	return node;
}

void ledger_tree_free(uint32_t node)
{
	struct ledger_head *h = ledger_head();

	ledger_node(node)->left = h->free;
	h->free = node;
	STORE(&h->count, h->count - 1);
}

/* ---- shape ------------------------------------------------------------ */

/* A bijection (MurmurHash3's finalizer): no two nodes are equal. */
static uint32_t priority(uint32_t node)
{
	node = (node ^ (node >> 16)) * 0x85ebca6bu;
	node = (node ^ (node >> 13)) * 0xc2b2ae35u;
	return node ^ (node >> 16);
}

void ledger_tree_split(uint32_t tree, uint64_t address, uint32_t *below, uint32_t *rest)
{
	while (tree) {
		struct ledger_node *n = ledger_node(tree);
		if (n->start < address) {
			*below = tree;
			below = &n->right;
			tree = n->right;
		} else {
			*rest = tree;
			rest = &n->left;
			tree = n->left;
		}
	}
	*below = 0;
	*rest = 0;
}

uint32_t ledger_tree_join(uint32_t a, uint32_t b)
{
	uint32_t root, *link = &root;

	while (a && b) {
		if (priority(a) > priority(b)) {
			*link = a;
			link = &ledger_node(a)->right;
			a = *link;
		} else {
			*link = b;
			link = &ledger_node(b)->left;
			b = *link;
		}
	}
	*link = a ? a : b;
	return root;
}

uint32_t ledger_tree_take_first(uint32_t *tree)
{
	uint32_t *link = tree, node;

	if (!*tree)
		return 0;
	while (ledger_node(*link)->left)
		link = &ledger_node(*link)->left;
	node = *link;
	*link = ledger_node(node)->right;
	ledger_node(node)->right = 0;
	return node;
}

/* ---- looking ---------------------------------------------------------- */

uint32_t ledger_tree_last(uint32_t tree)
{
	while (tree && ledger_node(tree)->right)
		tree = ledger_node(tree)->right;
	return tree;
}

uint32_t ledger_tree_at_most(uint32_t tree, uint64_t address)
{
	uint32_t best = 0;

	while (tree) {
		const struct ledger_node *n = ledger_node(tree);
		if (n->start <= address)
			best = tree;
		tree = n->start <= address ? n->right : n->left;
	}
	return broken ? 0 : best; /* so that who goes from node to node ends, too */
}

uint32_t ledger_tree_at_least(uint32_t tree, uint64_t address)
{
	uint32_t best = 0;

	while (tree) {
		const struct ledger_node *n = ledger_node(tree);
		if (n->start >= address)
			best = tree;
		tree = n->start >= address ? n->left : n->right;
	}
	return broken ? 0 : best; /* so that who goes from node to node ends, too */
}
