/* See jemallocbins.h. */
#include "account/jemallocbins.h"

#include <stdio.h>

#include "base/search.h"

#define NAME_BYTES 64

static uint64_t read_as(jemallocbins_ctl *ctl, const char *name, size_t bytes)
{
	uint64_t value = 0;
	size_t read = bytes;
	return ctl(name, &value, &read, NULL, 0) == 0 && read == bytes ? value : UNKNOWN;
}

static uint64_t read_bin(jemallocbins_ctl *ctl, size_t bin, const char *format, size_t bytes)
{
	char name[NAME_BYTES];
	snprintf(name, sizeof(name), format, bin);
	return read_as(ctl, name, bytes);
}

/* 4096 is MALLCTL_ARENAS_ALL, since jemalloc 5. */
#define OF_ALL(figure) "stats.arenas.4096.bins.%zu." figure

static int read_one(jemallocbins_ctl *ctl, struct jemallocbins *out, size_t bin)
{
	uint64_t bytes = read_bin(ctl, bin, "arenas.bin.%zu.size", sizeof(size_t));
	uint64_t regions = read_bin(ctl, bin, "arenas.bin.%zu.nregs", sizeof(uint32_t));
	uint64_t in_use = read_bin(ctl, bin, OF_ALL("curregs"), sizeof(size_t));
	uint64_t slabs = read_bin(ctl, bin, OF_ALL("curslabs"), sizeof(size_t));
	if (bytes == UNKNOWN || regions == UNKNOWN || in_use == UNKNOWN || slabs == UNKNOWN)
		return -1;
	uint64_t room = slabs * regions;
	out->list[bin].bytes = bytes;
	out->list[bin].in_use = in_use;
	out->list[bin].free_bytes = room > in_use ? (room - in_use) * bytes : 0;
	return 0;
}

void jemallocbins_read(jemallocbins_ctl *ctl, struct jemallocbins *out)
{
	uint64_t count = read_as(ctl, "arenas.nbins", sizeof(unsigned));
	uint64_t page = read_as(ctl, "arenas.page", sizeof(size_t));
	uint64_t dirty = read_as(ctl, "stats.arenas.4096.pdirty", sizeof(size_t));
	*out = (struct jemallocbins){.dirty_bytes = UNKNOWN};
	if (count == UNKNOWN || count > JEMALLOCBINS_MOST || page == UNKNOWN || dirty == UNKNOWN)
		return;
	for (size_t bin = 0; bin < count; bin++)
		if (read_one(ctl, out, bin) != 0)
			return;
	out->count = count;
	out->dirty_bytes = dirty * page;
}

size_t jemallocbins_find(const struct jemallocbins *bins, uint64_t size)
{
	return SEARCH(bins->count, i, bins->list[i].bytes < size);
}

/* What the query answers for each block (jemalloc's inspect.h). */
struct utilization {
	size_t free_regions, regions, slab_bytes;
};

static uint32_t held_by(const struct utilization *u)
{
	size_t used = u->regions - u->free_regions;
	if (u->free_regions == 0 || u->free_regions >= u->regions || u->slab_bytes > 16 * MIB)
		return 0; /* full, alone, or freed meanwhile */
	return (uint32_t)(u->slab_bytes / u->regions * u->free_regions / used);
}

void jemallocbins_ask(jemallocbins_ctl *ctl, struct jemallocbins_query *query)
{
	static struct utilization answers[JEMALLOCBINS_ASKED]; /* the worker's */
	size_t bytes = query->count * sizeof(answers[0]);
	query->result = -1;
	if (ctl("experimental.utilization.batch_query", answers, &bytes, query->blocks,
		query->count * sizeof(query->blocks[0])) != 0)
		return;
	for (size_t i = 0; i < query->count; i++)
		query->held[i] = held_by(&answers[i]);
	query->result = 0;
}
