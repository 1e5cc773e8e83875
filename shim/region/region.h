/*
 * Room region: the memory that the library owns.  Called from everywhere; scratch (a lock for its
 * chunks) by the threads of the library alone.
 *
 * The shim's memory.
 *
 * One region holds every table that outlives a request: stacks, sites, live
 * blocks, unwind rows.  It is mapped once, by a raw system call, with its full
 * size reserved and its pages touched only as they fill.  Tables refer to each
 * other by 32-bit indexes and offsets from the region's start, never by
 * pointer, so that the same bytes can be a file that another process reads (the
 * recorder's).
 *
 * Scratch memory is for one request at a time (a scrape): a bump allocator over
 * raw mappings, bounded, given back whole.
 *
 * Nothing here touches the host's heap.
 */
#ifndef CGOHEAP_REGION_H
#define CGOHEAP_REGION_H

#include "base/base.h"

#define REGION_MAGIC   UINT64_C(0x00706165686f6763) /* "cgoheap\0", little-endian */
#define REGION_VERSION 5

#define REGION_IS_COPIED 1u /* these are a copy of the tables, made once a second */

/* Offsets are from the start of the region; sizes in bytes. */
struct region_table {
	uint64_t offset;
	uint64_t bytes;
};

struct region_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint64_t region_bytes;
	uint64_t start_realtime_ns;  /* when the shim started: CLOCK_REALTIME */
	uint64_t start_monotonic_ns; /* the same moment: CLOCK_MONOTONIC */
	uint32_t pid;
	uint32_t flags;
	struct region_table arena; /* stacks, sites and sets of labels: cells.h */
	struct region_table stack_buckets;
	struct region_table live_buckets;
	struct region_table live_nodes;
	struct region_table rows;          /* unwind rows by pc */
	struct region_table mappings;      /* mapped ranges */
	struct region_table thread_starts; /* what new threads are to do */
	uint64_t arena_used;               /* bytes of arena handed out, in slabs */
	struct region_table recording;     /* struct recording; 0, 0 without a file */
};

extern struct region_header *region; /* NULL until region_init succeeded */

/*
 * The header as it was laid out.  The shim goes by this one: a host that writes
 * where it should not may have changed the other.
 */
extern struct region_header region_layout;

/*
 * max_bytes bounds all of the shim's memory (CGOHEAP_MAX_MEMORY).  The filter of
 * live blocks (live.h) is in it; of the rest, three quarters become the region,
 * mapped and laid out here, and a quarter is left to scratch.
 * Once, before any hook records.  0, or -1 when the memory cannot be had: the
 * shim then stays passive.
 */
int region_init(size_t max_bytes);
#define REGION_FILTER_BYTES MIB

/*
 * The same in memory that the caller has mapped, zeroed: region_bytes_of(max_bytes),
 * and extra_bytes (whole pages) behind the tables for the recorder.
 */
int region_init_at(void *memory, size_t max_bytes, size_t extra_bytes);
size_t region_bytes_of(size_t max_bytes);

/* What all scratch together may take: max_bytes less the region. */
size_t region_scratch_max_bytes(void);

/*
 * n zeroed bytes, 8-aligned, from the arena, forever (for cells.c); its offset from
 * the region's start, or 0 when the arena is full.  Any thread, lock-free.
 */
uint32_t region_alloc(size_t n);

static inline void *region_at(uint64_t offset)
{
	return (char *)region + offset;
}

/* Where the region, the recording stacks and all scratch lie now, in no order: as many as fit; how
 * many those are. */
struct region_range {
	uint64_t start, end;
};
size_t region_ranges(struct region_range *out, size_t max);

/* Bytes of the region and of all scratch that are resident right now, or UNKNOWN (pagemap.h). */
uint64_t region_resident_bytes(void);

/* ---- scratch ---------------------------------------------------------- */

struct scratch_chunk;
struct scratch {
	struct scratch_chunk *chunks; /* newest first */
	size_t mapped_bytes;
	size_t max_bytes;
	bool exhausted; /* an allocation was refused: the result is partial */
};

/* All scratch together is bounded too: by region_scratch_max_bytes. */
#define SCRATCH_INIT(max) ((struct scratch){.max_bytes = (max)})

/* n zeroed bytes, 16-aligned, until scratch_release; NULL past max_bytes. */
void *scratch_alloc(struct scratch *s, size_t n);
char *scratch_strdup(struct scratch *s, const char *text, size_t n); /* NUL-terminated copy */
void scratch_release(struct scratch *s);                             /* safe twice */

/* Around a fork whose child goes on (atfork.c): the lock is held in between. */
void region_before_fork(void);
void region_after_fork(void);
/* In that child: the parent's threads are done with their scratch. */
void region_forget_scratch(void);

#endif
