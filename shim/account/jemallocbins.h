/*
 * What jemalloc says of its slabs: a slab has regions of one size, and goes back only when all of
 * them are free. What is free in slabs that are in use is pinned.
 *
 * Per size from its statistics, and per block from its utilization query (jemalloc 5.2 and later;
 * in its name it is experimental). A block holds its share of what is free in its slab, so that all
 * blocks of a slab together hold all of it. Whether regions that were never used are resident is
 * not known, so this is at most what is pinned.
 *
 * The functions run on the worker (worker.h) and call mallctl, which takes jemalloc's lock of its
 * statistics; the query takes none.
 */
#ifndef CGOHEAP_JEMALLOCBINS_H
#define CGOHEAP_JEMALLOCBINS_H

#include "base/base.h"
#include "base/pagemap.h"

typedef int jemallocbins_ctl(const char *, void *, size_t *, void *, size_t);

#define JEMALLOCBINS_MOST 64
struct jemallocbins {
	size_t count; /* 0: not known */
	struct {
		uint64_t bytes;      /* of a region */
		uint64_t in_use;     /* regions, those in threads' caches too */
		uint64_t free_bytes; /* in slabs in use */
	} list[JEMALLOCBINS_MOST];   /* ascending */
	uint64_t dirty_bytes;        /* in no slab: a purge returns them; UNKNOWN */
};

/* After "epoch" was written. */
void jemallocbins_read(jemallocbins_ctl *ctl, struct jemallocbins *out);

/* The bin of blocks that were asked for with this size; count: none, they have pages alone. */
size_t jemallocbins_find(const struct jemallocbins *bins, uint64_t size);

/*
 * The share of each block in what is free in its slab, in bytes; blocks may have been freed. -1: it
 * has no such query. On the worker.
 */
#define JEMALLOCBINS_ASKED 512
struct jemallocbins_query {
	void *blocks[JEMALLOCBINS_ASKED];
	uint32_t held[JEMALLOCBINS_ASKED];
	size_t count;
	int result;
};
void jemallocbins_ask(jemallocbins_ctl *ctl, struct jemallocbins_query *query);

#endif
