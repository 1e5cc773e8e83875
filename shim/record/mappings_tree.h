/*
 * The ranges of the table of mappings as a treap by address: nodes of one pool in the region,
 * linked by index.
 *
 * A node's priority is a hash of its index, so it needs no storage and no random source. All
 * walks are loops, so stack use is constant. The caller holds the lock of the table of mappings.
 */
#ifndef CGOHEAP_MAPPINGS_TREE_H
#define CGOHEAP_MAPPINGS_TREE_H

#include "base/base.h"

struct mappings_node {
	uint64_t start, end;
	uint32_t left, right;
	/* The pieces of one object, in a ring ordered by address (mappings.c). */
	uint32_t ring_next, ring_prev;
	uint32_t site, tick, thread;
	uint8_t kind, flags;
	uint16_t reserved;
};

/* Takes the place of node 0, which is not a node. */
struct mappings_head {
	uint32_t root;
	uint32_t free;    /* list by `left` */
	uint32_t unused;  /* nodes from here on were never used */
	uint32_t count;   /* in use */
	uint64_t refused; /* because the pool was full */
	uint64_t reserved[3];
};

/* Call before each operation, under the lock. -1: the tree was overwritten and must not be
 * used. */
__attribute__((warn_unused_result)) int mappings_tree_begin(void);

struct mappings_head *mappings_head(void);
/*
 * The node that a link leads to; node is not 0. Counts a step of this operation. An invalid
 * link, or more steps than a sound tree has, disables the table for good; the result is then a
 * node without children, so every walk ends there.
 */
struct mappings_node *mappings_follow(uint32_t node);

/* A node in a ring by itself, all other fields 0. Returns 0 if the pool is full. */
uint32_t mappings_tree_new(void);
void mappings_tree_free(uint32_t node);

/* Splits nodes that start below address into *below, the others into *rest. */
void mappings_tree_split(uint32_t tree, uint64_t address, uint32_t *below, uint32_t *rest);
/* Joins two trees; all of a lies below all of b. */
uint32_t mappings_tree_join(uint32_t a, uint32_t b);
/* Removes the lowest node of *tree and returns it; 0: the tree is empty. */
uint32_t mappings_tree_take_first(uint32_t *tree);

uint32_t mappings_tree_last(uint32_t tree); /* the highest, or 0 */
uint32_t mappings_tree_at_most(uint32_t tree,
			       uint64_t address); /* highest start <= address, or 0 */
uint32_t mappings_tree_at_least(uint32_t tree,
				uint64_t address); /* lowest start >= address, or 0 */

/* The lowest node that ends above address, or 0. */
uint32_t mappings_tree_above(uint32_t tree, uint64_t address);

#endif
