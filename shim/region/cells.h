/*
 * Allocates the arena's memory in cells that can be freed.
 *
 * The arena is handed out in slabs of 8 KiB.  A slab holds cells of one kind and one
 * size, a multiple of 64 bytes.  Its first 64 bytes say which, so an id from a stale
 * record or damaged by a wild write of the host is recognised.  Free cells of the same
 * kind and size form a list; a slab whose cells are all free can be reused for another
 * kind (cells_gather).
 *
 * Ids are offsets from the region's start divided by 8; 0 is none.
 */
#ifndef CGOHEAP_CELLS_H
#define CGOHEAP_CELLS_H

#include "base/base.h"
#include "region/region.h"

/* A wide site counts objects too: stacks.h. */
enum cell_kind {
	CELL_NONE,
	CELL_SITE,
	CELL_STACK,
	CELL_LABELS,
	CELL_FREES,
	CELL_WIDE_SITE,
	CELL_KIND_COUNT
};

#define CELLS_SLAB_BYTES   (8 * KIB)
#define CELLS_UNIT         64
#define CELLS_MOST_BYTES   (CELLS_SLAB_BYTES - CELLS_UNIT)
#define CELLS_ROUND(bytes) ALIGN_UP((size_t)(bytes), (size_t)CELLS_UNIT)

/* The header of a slab. */
struct slab {
	uint16_t kind;
	uint16_t units; /* size of a cell, in units of 64 bytes */
	uint32_t free;  /* free cells; only while gathering */
	uint32_t next;  /* id of the next free slab */
};

/* How much of the arena an allocation must leave for those that need less. */
enum cells_need {
	CELLS_WHOLE,  /* leaves 1/16 */
	CELLS_ENDS,   /* leaves 3/64 */
	CELLS_COARSE, /* leaves 1/32 */
	CELLS_LAST    /* leaves nothing */
};

/*
 * A zeroed cell of at least `bytes` bytes; 0: no room.  Any thread, lock-free.  Another
 * thread that lost a race for the cell may still read its first 8 bytes, so write them
 * with STORE.
 */
uint32_t cells_take(enum cell_kind kind, size_t bytes, enum cells_need need);

/* Frees the cell at once: no thread may still be reading it (pins.h), unless it was never
 * published. */
void cells_give(uint32_t id);

/* How many bytes the cell has if id may be one of this kind; otherwise 0. */
static inline size_t cells_room(uint32_t id, enum cell_kind kind)
{
	uint64_t at = (uint64_t)id * 8 - region_layout.arena.offset;
	uint64_t inside = at % CELLS_SLAB_BYTES;
	const struct slab *slab = region_at((uint64_t)id * 8 - inside);

	if (unlikely(at >= LOAD(&region_layout.arena_used) || inside < CELLS_UNIT ||
		     inside % CELLS_UNIT || LOAD(&slab->kind) != kind))
		return 0;
	size_t room = LOAD(&slab->units) * (size_t)CELLS_UNIT;
	return room < CELLS_SLAB_BYTES - inside ? room : CELLS_SLAB_BYTES - inside;
}

/* The same for the smallest cells, with fewer instructions. */
static inline bool cells_is_unit(uint32_t id, enum cell_kind kind)
{
	uint64_t at = (uint64_t)id * 8 - region_layout.arena.offset;
	uint64_t inside = at % CELLS_SLAB_BYTES;
	const struct slab *slab = region_at((uint64_t)id * 8 - inside);

	return likely(at < LOAD(&region_layout.arena_used)) && likely(inside) &&
	       likely(at % CELLS_UNIT == 0) && likely(LOAD(&slab->kind) == kind) &&
	       likely(LOAD(&slab->units) == 1);
}

/* Whether id may be a cell of this kind with at least `bytes` bytes, which is not 0. */
static inline bool cells_is(uint32_t id, enum cell_kind kind, size_t bytes)
{
	return bytes <= cells_room(id, kind);
}

/* Makes empty slabs available to all kinds.  One caller at a time (the server). */
void cells_gather(void);

uint64_t cells_used_bytes(void);  /* of allocated cells */
uint64_t cells_total_bytes(void); /* if all slabs were full */
uint64_t cells_refused(void);     /* allocations that found no room; only grows */

#endif
