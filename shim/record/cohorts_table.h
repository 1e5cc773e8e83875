/*
 * Where marks and rows are in the region: for cohorts*.c alone. The server's thread only.
 *
 * Rows lie in tiles, so that a mark writes to few pages and a few stacks need few of them. The
 * index behind the tiles finds a stack's row; it is made again whenever it is needed.
 */
#ifndef CGOHEAP_COHORTS_TABLE_H
#define CGOHEAP_COHORTS_TABLE_H

#include <assert.h>

#include "base/base.h"
#include "region/region.h"
#include "record/cohorts.h"

/* A moment; it is 16 bytes, as a row is and as a cell is. */
struct cohorts_mark {
	uint32_t tick; /* blocks of this tick and later ones are newer; 0: the place is free */
	uint32_t reserved;
	uint64_t off_ns; /* how long sampling had been off by then */
};

/* A stack: its id, and the number of its first site, because the id may be used again. */
struct cohorts_row {
	uint64_t born;
	uint32_t stack; /* 0: the row is free */
	uint32_t since; /* tick of the first mark in it; 0: all marks since the stack was made */
};

/* What had been allocated at a stack by a mark: struct weight, modulo 2^64. */
struct cohorts_cell {
	uint64_t bytes_fx, objects_fx;
};

#define COHORTS_TILE_ROWS 64
struct cohorts_tile {
	struct cohorts_row rows[COHORTS_TILE_ROWS];
	struct cohorts_cell cells[COHORTS_MARKS][COHORTS_TILE_ROWS];
};
static_assert(sizeof(struct cohorts_tile) == COHORTS_TILE_ROWS * COHORTS_ROW_BYTES,
	      "region layout");

struct cohorts_head {
	uint64_t latest_born; /* of all sites at the last mark */
	uint64_t evicted;     /* rows that made room for others, ever */
	uint32_t without;     /* stacks that had no row at the last mark */
	uint32_t reserved;
	struct cohorts_mark marks[COHORTS_MARKS]; /* unordered */
};

struct cohorts_table {
	struct cohorts_head *head;
	struct cohorts_tile *tiles;
	uint32_t rows;
	uint32_t *index; /* row + 1, by stack; 0: free */
	uint32_t mask;
};

/* At most 4 places of the index a row. */
#define COHORTS_INDEX_BYTES (COHORTS_TILE_ROWS * 4 * sizeof(uint32_t))

static inline struct cohorts_table cohorts_table(void)
{
	const struct region_table *in = &region_layout.cohorts;
	struct cohorts_table t = {.head = region_at(in->offset)};
	uint32_t tiles = (uint32_t)((in->bytes - sizeof(*t.head)) /
				    (sizeof(*t.tiles) + COHORTS_INDEX_BYTES));

	t.tiles = (struct cohorts_tile *)(t.head + 1);
	t.rows = tiles * COHORTS_TILE_ROWS;
	t.index = (uint32_t *)(t.tiles + tiles);
	t.mask = (UINT32_C(1) << (33 - __builtin_clz(t.rows - 1))) - 1;
	return t;
}

static inline struct cohorts_row *cohorts_row(const struct cohorts_table *t, uint32_t row)
{
	return &t->tiles[row / COHORTS_TILE_ROWS].rows[row % COHORTS_TILE_ROWS];
}

static inline struct cohorts_cell *cohorts_cell(const struct cohorts_table *t, uint32_t row,
						uint32_t mark)
{
	return &t->tiles[row / COHORTS_TILE_ROWS].cells[mark][row % COHORTS_TILE_ROWS];
}

/* A stack's figures now, and the number of its first site; 0: there is none. */
struct cohorts_totals {
	uint64_t bytes_fx, objects_fx, inuse_bytes_fx;
	uint64_t born;
};
struct cohorts_totals cohorts_totals(uint32_t stack);

void cohorts_index(const struct cohorts_table *table);
/* After cohorts_index. The stack's row if it is of this stack; UINT32_MAX: none. */
uint32_t cohorts_find(const struct cohorts_table *table, uint32_t stack, uint64_t born);

/* The places of the marks in order, the oldest first; returns their number. */
uint32_t cohorts_order(const struct cohorts_table *table, uint32_t order[COHORTS_MARKS]);

#endif
