/*
 * Parts of the arena that have a bound, so that what multiplies leaves room for the rest.
 *
 * Any thread; lock-free.
 */
#ifndef CGOHEAP_PARTS_H
#define CGOHEAP_PARTS_H

#include "base/base.h"
#include "region/cells.h"

enum part {
	PART_LABELLED, /* labelled stacks and their sites */
	PART_FREES,    /* freeing stacks, and the records of who frees (frees.h) */
	PART_COUNT,
	PART_OTHER = PART_COUNT /* no bound */
};

/*
 * Labels multiply stacks: once this share of the arena (in eighths) is used, further ones are
 * recorded without labels and counted (labelsets_counters). What does not fit into that of the
 * frees is counted there.
 */
#define PARTS_LABELLED_EIGHTHS 4
#define PARTS_FREES_EIGHTHS    2

/* As cells_take and cells_give, with the same part and bytes for one cell. */
uint32_t parts_take(enum part part, enum cell_kind kind, size_t bytes, enum cells_need need);
void parts_give(enum part part, uint32_t id, size_t bytes);

/* Used share of the part's room, in thousandths. */
uint32_t parts_permille(enum part part);

#endif
