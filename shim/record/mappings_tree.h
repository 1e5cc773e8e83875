/*
 * The table of mappings's ranges as a treap by address: nodes of one pool in the region,
 * linked by index.
 *
 * A node's priority is a hash of its index, so that it needs no room and no
 * random source.  All walks are loops: nothing here needs stack.  The caller
 * holds the table of mappings's lock.
 */
#ifndef CGOHEAP_MAPPINGS_TREE_H
#define CGOHEAP_MAPPINGS_TREE_H

#include "base/base.h"

struct mappings_node {
	uint64_t start, end;
	uint32_t left, right;
	/* The pieces of one object, in a ring in the order of their addresses (mappings.c). */
	uint32_t ring_next, ring_prev;
	uint32_t site, tick, thread;
	uint8_t kind, flags;
	uint16_t reserved;
};

/* In the place of node 0: 0 is no node. */
struct mappings_head {
	uint32_t root;
	uint32_t free;    /* list by `left` */
	uint32_t unused;  /* nodes from here on were never used */
	uint32_t count;   /* in use */
	uint64_t refused; /* the pool was full */
	uint64_t reserved[3];
};

/* Before each operation, under the lock.  False: the tree was written over, and is not to be used.
 */
bool mappings_tree_begin(void);

struct mappings_head *mappings_head(void);
struct mappings_node *mappings_node(uint32_t node); /* node is not 0 */

/* A node by itself in its ring, all else 0; 0: the pool is full. */
uint32_t mappings_tree_new(void);
void mappings_tree_free(uint32_t node);

/* Nodes that start below address into *below, the rest into *rest. */
void mappings_tree_split(uint32_t tree, uint64_t address, uint32_t *below, uint32_t *rest);
/* All of a lies below all of b. */
uint32_t mappings_tree_join(uint32_t a, uint32_t b);
/* Takes the lowest out of *tree; 0: it is empty. */
uint32_t mappings_tree_take_first(uint32_t *tree);

uint32_t mappings_tree_last(uint32_t tree); /* the highest, or 0 */
uint32_t mappings_tree_at_most(uint32_t tree,
			       uint64_t address); /* highest start <= address, or 0 */
uint32_t mappings_tree_at_least(uint32_t tree,
				uint64_t address); /* lowest start >= address, or 0 */

#endif
