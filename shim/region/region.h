/*
 * Room region: the memory that the library owns.  Called from everywhere; scratch (with a lock for
 * its chunks) only by the library's threads.
 *
 * One region holds every table that outlives a request: stacks, sites, live
 * blocks, unwind rows.  It is mapped once, by a raw system call, with its full
 * size reserved; its pages are touched only as they fill.  Tables refer to each
 * other by 32-bit indexes and offsets from the region's start, never by
 * pointer, so that the same bytes can be a file that another process reads (the
 * recorder's).
 *
 * Scratch memory serves one request: a bump allocator over raw mappings, bounded
 * and released as a whole.
 *
 * Nothing here uses the host's heap.
 */
#ifndef CGOHEAP_REGION_H
#define CGOHEAP_REGION_H

#include "base/base.h"

#define REGION_MAGIC   UINT64_C(0x00706165686f6763) /* "cgoheap\0", little-endian */
#define REGION_VERSION 7

#define REGION_IS_COPIED 1u /* this is a copy of the tables, made once a second */
#define REGION_LOST      2u /* something could not be recorded */
#define REGION_COARSE    4u /* sampling was off, or its interval above 1, at some time */

/* Offsets are from the start of the region; sizes in bytes. */
struct region_table {
	uint64_t offset;
	uint64_t bytes;
};

/* What was highest since a moment, in bytes: record/peak.h, which alone writes here. */
struct region_peak {
	uint64_t now;         /* 48 bits, signed, above the peak's number */
	uint64_t highest;     /* of them */
	uint64_t other_bytes; /* what the other peak's figure was then; UINT64_MAX: not known */
	uint32_t tick;        /* when, as in struct live_block */
	uint16_t kept;        /* the number of the last peak for which a site has kept figures */
	uint16_t reserved;
};

struct region_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint64_t region_bytes;
	uint64_t start_realtime_ns;  /* CLOCK_REALTIME when the shim started */
	uint64_t start_monotonic_ns; /* CLOCK_MONOTONIC at the same time */
	uint32_t pid;
	uint32_t flags;
	struct region_table arena; /* stacks, sites and sets of labels: cells.h */
	struct region_table stack_buckets;
	struct region_table live_buckets;
	struct region_table live_nodes;
	struct region_table rows;          /* unwind rows by pc */
	struct region_table mappings;      /* mapped ranges */
	struct region_table thread_starts; /* start routines of new threads */
	uint64_t arena_used;               /* bytes of the arena handed out, in slabs */
	struct region_table recording;     /* struct recording; 0, 0 without a file */
	struct region_table cohorts;       /* what had been allocated at stacks: cohorts_table.h */
	struct region_table frees;         /* who frees, for each place of a site: frees.c */
	uint32_t peaks_since_tick;
	uint32_t reserved[9];
	struct region_peak peaks[2]; /* enum peak; a cache line that nothing else is in */
};

/* NULL until region_init succeeded. A hook acquires it, or the state (base/state.h), before it goes
 * on to what reads it plainly. */
extern struct region_header *region __attribute__((visibility("hidden")));

/*
 * A private copy of the header's layout.  The shim uses this one, because a wild write
 * of the host may have changed the other.
 */
extern struct region_header region_layout __attribute__((visibility("hidden")));

/*
 * Maps and lays out the region.  max_bytes bounds all of the shim's memory
 * (CGOHEAP_MAX_MEMORY).  It includes the filter of live blocks (live.h); of the rest,
 * three quarters become the region and a quarter is left for scratch.  Once, before any
 * hook records.  0, or -1 without memory: the shim then stays passive.
 */
int region_init(size_t max_bytes);
#define REGION_FILTER_BYTES MIB

/*
 * The same in zeroed memory that the caller has mapped: region_bytes_of(max_bytes), plus
 * extra_bytes (whole pages) after the tables for the recorder.
 */
int region_init_at(void *memory, size_t max_bytes, size_t extra_bytes);
size_t region_bytes_of(size_t max_bytes);

/* The bound on all scratch together: max_bytes minus the region. */
size_t region_scratch_max_bytes(void);

/*
 * Allocates n zeroed bytes, 8-aligned, from the arena; never freed (for cells.c).  Returns
 * the offset from the region's start, or 0 if the arena is full.  Any thread, lock-free.
 */
uint32_t region_alloc(size_t n);

/* Sets a flag of the header, for who reads the region after the end.  Any thread, signal handlers
 * too; valid before the region exists, where it does nothing. */
static inline void region_mark(uint32_t flag)
{
	struct region_header *r = LOAD_ACQ(&region);

	if (r && !(LOAD(&r->flags) & flag))
		__atomic_fetch_or(&r->flags, flag, __ATOMIC_RELAXED);
}

static inline void *region_at(uint64_t offset)
{
	return (char *)region + offset;
}

/* The current ranges of the region, the recording stacks and all scratch, unordered, as many as
 * fit.  Returns their number. */
struct region_range {
	uint64_t start, end;
};
size_t region_ranges(struct region_range *out, size_t max);

/* Resident bytes of the region and of all scratch, or UNKNOWN (pagemap.h). */
uint64_t region_resident_bytes(void);

/* ---- scratch ---------------------------------------------------------- */

struct scratch_chunk;
struct scratch {
	struct scratch_chunk *chunks; /* newest first */
	size_t mapped_bytes;
	size_t max_bytes;
	bool exhausted; /* an allocation failed: the result is partial */
};

/* The total of all scratch is bounded too, by region_scratch_max_bytes. */
#define SCRATCH_INIT(max) ((struct scratch){.max_bytes = (max)})

/* n zeroed bytes, 16-aligned, valid until scratch_release; NULL past max_bytes. */
void *scratch_alloc(struct scratch *s, size_t n);
char *scratch_strdup(struct scratch *s, const char *text, size_t n); /* NUL-terminated copy */
void scratch_release(struct scratch *s);                             /* safe twice */

/*
 * Scratch for a part of the work, released before the rest: bounded by what whole has left now.
 * scratch_part_end releases it; if it was exhausted, so is whole.
 */
static inline struct scratch scratch_part(const struct scratch *whole)
{
	return SCRATCH_INIT(whole->max_bytes - whole->mapped_bytes);
}
static inline void scratch_part_end(struct scratch *whole, struct scratch *part)
{
	whole->exhausted |= part->exhausted;
	scratch_release(part);
}

/* release is called when all scratch together has reached its bound, and then there may be room. It
 * gives up what can be made again. On the thread that needs scratch, which holds no lock. */
void region_on_shortage(void (*release)(void));

/* The most that all scratch together has mapped at any time, in bytes. */
size_t region_scratch_peak_bytes(void);

/* Around a fork whose child keeps profiling (atfork.c): the lock is held in between. */
void region_before_fork(void);
void region_after_fork(void);
/* In that child: frees the scratch of the parent's threads. */
void region_forget_scratch(void);

#endif
