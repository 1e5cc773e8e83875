/* See mappings_tree.h. */
#include "record/mappings_tree.h"

#include <assert.h>

#include "region/region.h"

static_assert(sizeof(struct mappings_node) == 48, "region layout");
static_assert(sizeof(struct mappings_head) == sizeof(struct mappings_node),
	      "it takes a node's place");

struct mappings_head *mappings_head(void)
{
	return region_at(region_layout.mappings.offset);
}

/* A wild pointer of the host can overwrite links. */
#define STEPS_PER_NODE 256
#define STEPS_AT_LEAST 4096

static struct mappings_node nowhere;
static size_t steps;
static bool broken;

int mappings_tree_begin(void)
{
	steps = 0;
	return broken ? -1 : 0;
}

struct mappings_node *mappings_follow(uint32_t node)
{
	size_t room = region_layout.mappings.bytes / sizeof(struct mappings_node);

	if (unlikely(node >= room || steps++ > STEPS_AT_LEAST + STEPS_PER_NODE * room)) {
		broken = true;
		nowhere = (struct mappings_node){0};
		return &nowhere;
	}
	return (struct mappings_node *)region_at(region_layout.mappings.offset) + node;
}

/* ---- the pool --------------------------------------------------------- */

/* Reuses freed nodes first, so that resident memory follows use. */
uint32_t mappings_tree_new(void)
{
	struct mappings_head *h = mappings_head();
	uint32_t node = h->free;

	if (node) {
		h->free = mappings_follow(node)->left;
	} else {
		node = h->unused ? h->unused : 1;
		if (node >= region_layout.mappings.bytes / sizeof(struct mappings_node)) {
			ADD(&h->refused, 1);
			region_mark(REGION_LOST);
			return 0;
		}
		h->unused = node + 1;
	}
	STORE(&h->count, h->count + 1);
	*mappings_follow(node) = (struct mappings_node){.ring_next = node, .ring_prev = node};
	return node;
}

void mappings_tree_free(uint32_t node)
{
	struct mappings_head *h = mappings_head();

	mappings_follow(node)->left = h->free;
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

void mappings_tree_split(uint32_t tree, uint64_t address, uint32_t *below, uint32_t *rest)
{
	while (tree) {
		struct mappings_node *n = mappings_follow(tree);
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

uint32_t mappings_tree_join(uint32_t a, uint32_t b)
{
	uint32_t root, *link = &root;

	while (a && b) {
		if (priority(a) > priority(b)) {
			*link = a;
			link = &mappings_follow(a)->right;
			a = *link;
		} else {
			*link = b;
			link = &mappings_follow(b)->left;
			b = *link;
		}
	}
	*link = a ? a : b;
	return root;
}

uint32_t mappings_tree_take_first(uint32_t *tree)
{
	uint32_t *link = tree;

	if (!*tree)
		return 0;
	while (mappings_follow(*link)->left)
		link = &mappings_follow(*link)->left;
	uint32_t node = *link;
	*link = mappings_follow(node)->right;
	mappings_follow(node)->right = 0;
	return node;
}

/* ---- looking ---------------------------------------------------------- */

uint32_t mappings_tree_last(uint32_t tree)
{
	while (tree && mappings_follow(tree)->right)
		tree = mappings_follow(tree)->right;
	return tree;
}

uint32_t mappings_tree_at_most(uint32_t tree, uint64_t address)
{
	uint32_t best = 0;

	while (tree) {
		const struct mappings_node *n = mappings_follow(tree);
		if (n->start <= address)
			best = tree;
		tree = n->start <= address ? n->right : n->left;
	}
	return broken ? 0 : best; /* so that a caller that walks from node to node also stops */
}

uint32_t mappings_tree_at_least(uint32_t tree, uint64_t address)
{
	uint32_t best = 0;

	while (tree) {
		const struct mappings_node *n = mappings_follow(tree);
		if (n->start >= address)
			best = tree;
		tree = n->start >= address ? n->left : n->right;
	}
	return broken ? 0 : best; /* so that a caller that walks from node to node also stops */
}

uint32_t mappings_tree_above(uint32_t tree, uint64_t address)
{
	uint32_t node = mappings_tree_at_most(tree, address);

	if (node && mappings_follow(node)->end > address)
		return node;
	return mappings_tree_at_least(tree, address);
}
