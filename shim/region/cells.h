/*
 * The arena's memory, given out in cells and taken back.
 *
 * The arena is handed out by slabs of 8 KiB.  A slab holds cells of one kind and
 * one size, a multiple of 64 bytes, and its first 64 bytes say which: an id that
 * a host's wild write or a stale record leads to is so recognised for what it is
 * or is not.  Free cells of a kind and size form a list; a slab whose cells are
 * all free can become one of any other kind (cells_gather).
 *
 * Ids are offsets from the region's start / 8 (0 = none), as they have always been.
 */
#ifndef CGOHEAP_CELLS_H
#define CGOHEAP_CELLS_H

#include "base/base.h"
#include "region/region.h"

enum cell_kind { CELL_NONE, CELL_SITE, CELL_STACK, CELL_LABELS, CELL_KIND_COUNT };

#define CELLS_SLAB_BYTES   (8 * KIB)
#define CELLS_UNIT         64
#define CELLS_MOST_BYTES   (CELLS_SLAB_BYTES - CELLS_UNIT)
#define CELLS_ROUND(bytes) ALIGN_UP((size_t)(bytes), (size_t)CELLS_UNIT)

/* In front of a slab's cells. */
struct slab {
	uint16_t kind;
	uint16_t units; /* of a cell */
	uint32_t free;  /* while cells are gathered: its free ones */
	uint32_t next;  /* id of the next slab that is free */
};

/* What is left of the arena for those who can do with less. */
enum cells_need {
	CELLS_WHOLE,  /* leaves a sixteenth */
	CELLS_ENDS,   /* leaves three sixty-fourths */
	CELLS_COARSE, /* leaves a thirty-second */
	CELLS_LAST    /* takes what there is */
};

/*
 * A zeroed cell of at least that many bytes; 0: there is no room.  Any thread, lock-free.
 * A cell's first 8 bytes may still be read by who lost a race for it: they are to
 * be written by STORE.
 */
uint32_t cells_take(enum cell_kind kind, size_t bytes, enum cells_need need);

/* The cell is free at once: who might still look at it must be gone (pins.h), unless
 * it was never to be found. */
void cells_give(uint32_t id);

/* Whether a cell of this kind may begin there; bytes: how many of it are to be had. */
bool cells_is(uint32_t id, enum cell_kind kind, size_t bytes);

/* Slabs with nothing in them become free for any kind.  One caller at a time (the server). */
void cells_gather(void);

uint64_t cells_used_bytes(void);  /* of cells that are given out */
uint64_t cells_total_bytes(void); /* when all slabs are full */
uint64_t cells_refused(void);     /* how often there was no room; only grows */

#endif
