/*
 * Pieces of the table of mappings: the objects they belong to, with the figures of their sites,
 * and how ranges are cut out of the tree and joined again.
 *
 * An object's pieces form a ring. One of them carries MAPPINGS_HEAD. The object is freed with
 * its last piece, in any order. The caller holds the lock of the table of mappings.
 */
#ifndef CGOHEAP_MAPPINGS_FRAGMENT_H
#define CGOHEAP_MAPPINGS_FRAGMENT_H

#include "base/base.h"
#include "record/mappings_range.h"
#include "record/mappings_tree.h"

bool mappings_fragment_is_counted(const struct mappings_node *n);

/* Starts counting node as another piece of the object whose latest piece is `last`; 0: as a
 * new object. Does nothing if node is not counted. */
void mappings_fragment_add(uint32_t node, uint32_t last);
/* Frees its bytes, and with the last piece the object. Does nothing if node is not counted. */
void mappings_fragment_release(uint32_t node);
/* Releases what lies from limit on. False: nothing is left, and the node is gone. */
bool mappings_fragment_trim(uint32_t node, uint64_t limit);
void mappings_fragment_drop_all(uint32_t tree);

/* The tree in three parts: below a range, in it, and above it. */
struct mappings_parts {
	uint32_t below, middle, above;
};

/* Cuts pieces that extend beyond the range. If the pool has no room for that, the part
 * outside is released. */
struct mappings_parts mappings_take_apart(uint64_t start, uint64_t end);
/* Joins the parts into one tree again. */
void mappings_put_together(struct mappings_parts *parts);
/* Appends node, which lies above all of tree. Joins it to the last node if both belong to one
 * object, or if neither is counted and they are otherwise equal. Returns the tree. */
uint32_t mappings_fragment_append(uint32_t tree, uint32_t node);

#endif
