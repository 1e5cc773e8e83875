/*
 * Pieces of the ledger: the objects they belong to, with the figures of their
 * sites, and how ranges are cut out of the tree and joined again.
 *
 * An object's pieces form a ring.  One of them carries LEDGER_HEAD; the object
 * is freed with the last, whichever that is.  The caller holds the ledger's lock.
 */
#ifndef CGOHEAP_LEDGER_PIECE_H
#define CGOHEAP_LEDGER_PIECE_H

#include "base.h"
#include "ledger.h"
#include "ledger_tree.h"

bool ledger_piece_is_counted(const struct ledger_node *n);

/* What begins to count, as one more piece of the object whose latest piece is `last`; 0: as a
 * new object.  Nothing where it is not counted. */
void ledger_piece_add(uint32_t node, uint32_t last);
/* Its bytes are freed, and with the last piece the object.  Nothing where it is not counted. */
void ledger_piece_release(uint32_t node);
/* What lies from limit on is released; false: that was all, and the node is gone. */
bool ledger_piece_trim(uint32_t node, uint64_t limit);
void ledger_piece_drop_all(uint32_t tree);

/* The ledger's tree: what lies below a range, in it, and above it. */
struct ledger_parts {
	uint32_t below, middle, above;
};

/* Pieces that stick out are cut; where the pool has no room for that, what sticks out is released.
 */
struct ledger_parts ledger_take_apart(uint64_t start, uint64_t end);
/* One tree again: the ledger's. */
void ledger_put_together(struct ledger_parts *parts);
/* Above all of tree: joined to its last where both are of one object, or not counted and say the
 * same.  The tree. */
uint32_t ledger_piece_append(uint32_t tree, uint32_t node);

#endif
