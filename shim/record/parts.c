/* See parts.h. */
#include "record/parts.h"

static uint64_t used_bytes[PART_COUNT];
static const uint8_t eighths[PART_COUNT] = {PARTS_LABELLED_EIGHTHS, PARTS_FREES_EIGHTHS};

static uint64_t most_bytes(enum part part)
{
	return region_layout.arena.bytes / 8 * eighths[part];
}

/* Threads that race for the last room may all get some, which is harmless. */
uint32_t parts_take(enum part part, enum cell_kind kind, size_t bytes, enum cells_need need)
{
	if (part == PART_OTHER)
		return cells_take(kind, bytes, need);
	bytes = CELLS_ROUND(bytes);
	if (LOAD(&used_bytes[part]) + bytes > most_bytes(part))
		return 0;
	uint32_t id = cells_take(kind, bytes, need);
	if (id)
		ADD(&used_bytes[part], bytes);
	return id;
}

void parts_give(enum part part, uint32_t id, size_t bytes)
{
	if (part != PART_OTHER)
		__atomic_fetch_sub(&used_bytes[part], CELLS_ROUND(bytes), __ATOMIC_RELAXED);
	cells_give(id);
}

uint32_t parts_permille(enum part part)
{
	uint64_t most = most_bytes(part);

	return (uint32_t)(LOAD(&used_bytes[part]) * 1000 / (most ? most : 1));
}
