/*
 * Pieces of the table of mappings: the objects they belong to, with the figures of their
 * sites, and how ranges are cut out of the tree and joined again.
 *
 * An object's pieces form a ring.  One of them carries MAPPINGS_HEAD; the object
 * is freed with the last, whichever that is.  The caller holds the table of mappings's lock.
 */
#ifndef CGOHEAP_MAPPINGS_FRAGMENT_H
#define CGOHEAP_MAPPINGS_FRAGMENT_H

#include "base/base.h"
#include "record/mappings.h"
#include "record/mappings_tree.h"

bool mappings_fragment_is_counted(const struct mappings_node *n);

/* What begins to count, as one more piece of the object whose latest piece is `last`; 0: as a
 * new object.  Nothing where it is not counted. */
void mappings_fragment_add(uint32_t node, uint32_t last);
/* Its bytes are freed, and with the last piece the object.  Nothing where it is not counted. */
void mappings_fragment_release(uint32_t node);
/* What lies from limit on is released; false: that was all, and the node is gone. */
bool mappings_fragment_trim(uint32_t node, uint64_t limit);
void mappings_fragment_drop_all(uint32_t tree);

/* The table of mappings's tree: what lies below a range, in it, and above it. */
struct mappings_parts {
	uint32_t below, middle, above;
};

/* Pieces that stick out are cut; where the pool has no room for that, what sticks out is released.
 */
struct mappings_parts mappings_take_apart(uint64_t start, uint64_t end);
/* One tree again: the table of mappings's. */
void mappings_put_together(struct mappings_parts *parts);
/* Above all of tree: joined to its last where both are of one object, or not counted and say the
 * same.  The tree. */
uint32_t mappings_fragment_append(uint32_t tree, uint32_t node);

#endif
