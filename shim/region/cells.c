/*
 * See cells.h.  The upper half of a list's head is a count that every change
 * increments (ABA): a thread that read the head before others took, used and returned
 * the same cell sees that it changed.  Each change is a read-modify-write, so whoever takes a cell
 * sees what its last owner did, however many changes of the head came between.
 */
#include "region/cells.h"

#include <assert.h>
#include <string.h>

#define MOST_UNITS (CELLS_MOST_BYTES / CELLS_UNIT)

static_assert(sizeof(struct slab) <= CELLS_UNIT, "region layout");
static_assert(CELLS_SLAB_BYTES % PAGE_BYTES == 0, "region layout");

static uint64_t free_cells[CELL_KIND_COUNT][MOST_UNITS + 1];
static uint64_t free_slabs;
static uint64_t used_bytes, refused;
static uint32_t free_slab_count;

/* ---- lists ------------------------------------------------------------ */

static uint32_t *cell_link(uint32_t id)
{
	return region_at((uint64_t)id * 8);
}

static struct slab *slab_at(uint32_t id)
{
	return region_at((uint64_t)id * 8);
}

static uint64_t head_of(uint64_t before, uint32_t id)
{
	return ((before >> 32) + 1) << 32 | id;
}

/* The link of a member of a list of slabs or cells. */
static uint32_t *link_of(const uint64_t *list, uint32_t id)
{
	return list == &free_slabs ? &slab_at(id)->next : cell_link(id);
}

/* Whether this part of the arena has been handed out. */
static bool is_handed_out(uint64_t at)
{
	return at < LOAD(&region_layout.arena_used);
}

static uint64_t arena_offset(uint32_t id)
{
	return (uint64_t)id * 8 - region_layout.arena.offset;
}

/*
 * What follows a member. If another thread has taken it meanwhile, that may be any word of its
 * cell, or of the cells that its slab was cut into since; the head has then changed, and the answer
 * is not used.
 */
__attribute__((no_sanitize("thread"))) static uint32_t follower_of(const uint64_t *list,
								   uint32_t id)
{
	return LOAD(link_of(list, id));
}

static uint32_t list_pop(uint64_t *list)
{
	uint64_t head = LOAD_ACQ(list);

	while ((uint32_t)head) {
		uint32_t next;
		/* Damaged by a wild write of the host: give up the list. */
		if (!is_handed_out(arena_offset((uint32_t)head))) {
			STORE(list, 0);
			return 0;
		}
		next = follower_of(list, (uint32_t)head);
		if (__atomic_compare_exchange_n(list, &head, head_of(head, next), true,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return (uint32_t)head;
	}
	return 0;
}

/* Pushes a chain whose links are set, except the last one's. */
static void list_push(uint64_t *list, uint32_t first, uint32_t last)
{
	uint64_t head = LOAD(list);

	do
		STORE(link_of(list, last), (uint32_t)head);
	while (!__atomic_compare_exchange_n(list, &head, head_of(head, first), true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static uint32_t list_take_all(uint64_t *list)
{
	uint64_t head = LOAD_ACQ(list);

	while (!__atomic_compare_exchange_n(list, &head, head_of(head, 0), true, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE))
		;
	return (uint32_t)head;
}

/* ---- slabs ------------------------------------------------------------ */

static uint32_t slab_of(uint32_t id)
{
	return id - (uint32_t)(arena_offset(id) % CELLS_SLAB_BYTES / 8);
}

static uint32_t cells_of_slab(uint32_t units)
{
	return units ? MOST_UNITS / units : 0;
}

static uint64_t slabs_left(void)
{
	const struct region_table *arena = &region_layout.arena;

	return LOAD(&free_slab_count) +
	       (arena->bytes - LOAD(&region_layout.arena_used)) / CELLS_SLAB_BYTES;
}

/* How many slabs this need must leave: the last ones leave at least one per kind they use. */
static uint64_t slabs_kept(enum cells_need need)
{
	uint64_t slabs = region_layout.arena.bytes / CELLS_SLAB_BYTES;

	switch (need) {
	case CELLS_WHOLE:
		return slabs / 16 > 4 ? slabs / 16 : 4;
	case CELLS_ENDS:
		return slabs * 3 / 64 > 3 ? slabs * 3 / 64 : 3;
	case CELLS_COARSE:
		return slabs / 32 > 2 ? slabs / 32 : 2;
	case CELLS_LAST:
		break;
	}
	return 0;
}

static uint32_t slab_find(enum cells_need need)
{
	if (slabs_left() <= slabs_kept(need))
		return 0;
	uint32_t id = list_pop(&free_slabs);
	if (!id)
		return region_alloc(CELLS_SLAB_BYTES) / 8;
	__atomic_fetch_sub(&free_slab_count, 1, __ATOMIC_RELAXED);
	return id;
}

/* Cuts a slab into cells; -1: no slab is available. */
static int slab_cut(enum cell_kind kind, uint32_t units, enum cells_need need)
{
	uint32_t slab = slab_find(need), step = units * (CELLS_UNIT / 8);
	uint32_t first = slab + CELLS_UNIT / 8, last = first;

	if (!slab)
		return -1;
	STORE(&slab_at(slab)->kind, (uint16_t)kind);
	STORE(&slab_at(slab)->units, (uint16_t)units);
	STORE(&slab_at(slab)->free, 0);
	for (uint32_t n = cells_of_slab(units); n > 1; n--, last += step)
		STORE(cell_link(last), last + step);
	list_push(&free_cells[kind][units], first, last);
	return 0;
}

/* ---- cells ------------------------------------------------------------ */

uint32_t cells_take(enum cell_kind kind, size_t bytes, enum cells_need need)
{
	uint32_t units = (uint32_t)(CELLS_ROUND(bytes) / CELLS_UNIT), id;

	if (bytes == 0 || bytes > CELLS_MOST_BYTES)
		return 0;
	do {
		id = list_pop(&free_cells[kind][units]);
		if (!id && slab_cut(kind, units, need)) {
			ADD(&refused, 1);
			return 0;
		}
	} while (!id || !cells_is(id, kind, bytes)); /* damaged by a wild write: try the next */
	STORE((uint64_t *)cell_link(id), 0);
	memset((char *)cell_link(id) + 8, 0, units * CELLS_UNIT - 8);
	ADD(&used_bytes, units * CELLS_UNIT);
	return id;
}

/* The free list that a cell belongs on; NULL: not a cell. */
static uint64_t *list_of(uint32_t id)
{
	struct slab *slab = slab_at(slab_of(id));
	uint32_t kind = LOAD(&slab->kind), units = LOAD(&slab->units);

	if (kind == CELL_NONE || kind >= CELL_KIND_COUNT || !units || units > MOST_UNITS)
		return NULL;
	return &free_cells[kind][units];
}

void cells_give(uint32_t id)
{
	uint64_t *list = is_handed_out(arena_offset(id)) ? list_of(id) : NULL;

	if (!list)
		return;
	__atomic_fetch_sub(&used_bytes, LOAD(&slab_at(slab_of(id))->units) * (uint64_t)CELLS_UNIT,
			   __ATOMIC_RELAXED);
	list_push(list, id, id);
}

/* ---- gathering -------------------------------------------------------- */

/* The next of a detached list; an invalid link ends it. */
static uint32_t next_of(uint32_t id)
{
	uint32_t next = *cell_link(id);

	return next && is_handed_out(arena_offset(next)) ? next : 0;
}

static uint64_t most_cells(void)
{
	return region_layout.arena.bytes / CELLS_UNIT;
}

/* Counts the free cells of each slab in a detached list. */
static void count_free(uint32_t first)
{
	uint64_t left = most_cells();

	for (uint32_t id = first; id && left; id = next_of(id), left--)
		slab_at(slab_of(id))->free = 0;
	left = most_cells();
	for (uint32_t id = first; id && left; id = next_of(id), left--)
		slab_at(slab_of(id))->free++;
}

/* Frees the slabs whose cells are all in the list, and puts the remaining cells back. */
static void gather(uint64_t *list)
{
	uint32_t first = list_take_all(list), next;
	uint64_t left = most_cells();
	uint32_t kept = 0, last_kept = 0, empty = 0, last_empty = 0, emptied = 0;

	count_free(first);
	for (uint32_t id = first; id && left; id = next, left--) {
		struct slab *slab = slab_at(slab_of(id));
		next = next_of(id);
		if (slab->free == cells_of_slab(slab->units)) {
			if (slab->kind == CELL_NONE) /* already freed */
				continue;
			STORE(&slab->kind, CELL_NONE);
			STORE(&slab->next, empty);
			last_empty = empty ? last_empty : slab_of(id);
			empty = slab_of(id);
			emptied++;
		} else {
			STORE(cell_link(id), kept);
			last_kept = kept ? last_kept : id;
			kept = id;
		}
	}
	if (kept)
		list_push(list, kept, last_kept);
	if (empty) {
		/* Count first, so that the count never drops below zero. */
		ADD(&free_slab_count, emptied);
		list_push(&free_slabs, empty, last_empty);
	}
}

void cells_gather(void)
{
	for (uint32_t kind = CELL_NONE + 1; kind < CELL_KIND_COUNT; kind++)
		for (uint32_t units = 1; units <= MOST_UNITS; units++)
			gather(&free_cells[kind][units]);
}

uint64_t cells_used_bytes(void)
{
	return LOAD(&used_bytes);
}

uint64_t cells_total_bytes(void)
{
	return region_layout.arena.bytes / CELLS_SLAB_BYTES * CELLS_MOST_BYTES;
}

uint64_t cells_refused(void)
{
	return LOAD(&refused);
}
