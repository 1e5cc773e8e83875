/*
 * Room record: what was sampled: threads, blocks, stacks, labels, mappings.  Written by hooks, read
 * by the threads of the library; locks of live and of the table of mappings, never two at a time.
 *
 * Interned stacks and what was allocated at them.
 *
 * A stack is its frames and the goroutine labels it was met under; it is stored
 * once.  Under it hang sites, one per (block size, origin),
 * each with running totals; a stack with more than STACK_MAX_SIZES sizes counts
 * the rest at a site of size 0 ("mixed").  Both live in cells of the region's
 * arena (cells.h).
 *
 * Where the arena has no room, a stack is recorded by its first C frames and the way
 * into Go alone, as much of them as there is room for (CAPTURE_NO_ROOM); where it has none for that
 * either, by its origin alone, at a site that is there from the start: never nothing.  Room comes
 * from stacks with nothing in use (stacks_reclaim.h): what hooks look up here they use under a pin
 * (pins.h); a site in use stays, and so the record of a block is as good as a pin.  Readers run
 * where reclaiming does, on the server's thread, and need neither.
 *
 * Ids are arena offsets / 8 (0 = none).
 */
#ifndef CGOHEAP_STACKS_H
#define CGOHEAP_STACKS_H

#include "base/base.h"
#include "region/region.h"
#include "unwind/capture.h"
#include "record/sample.h"

#define STACK_MAX_SIZES 64

enum origin { ORIGIN_MALLOC, ORIGIN_MMAP, ORIGIN_THREAD_STACK, ORIGIN_COUNT };
extern const char *const origin_names[ORIGIN_COUNT]; /* "malloc", "mmap", "thread_stack" */

struct stack {
	uint64_t hash;
	uint32_t next;       /* id of the next stack in its bucket */
	uint32_t first_site; /* id */
	uint32_t site_count;
	uint16_t frame_count;
	uint16_t end; /* enum capture_end */
	uint32_t omitted_at;
	uint32_t unloads;  /* unloads_stamp of its frames */
	uint32_t labels;   /* id, labelsets.h; 0 none */
	uint32_t reclaim;  /* the server's: see stacks_reclaim.c */
	uint64_t frames[]; /* leaf first, see struct capture */
};

/*
 * Totals only grow; in use = allocated - freed.  Fixed point as in struct weight,
 * modulo 2^64: what is in use is always less, and what was allocated is known by
 * how often its top bit has changed, too (site_allocated).
 */
struct site {
	uint32_t stack; /* id */
	uint32_t next;  /* id of the next site of the same stack */
	uint64_t size;  /* of each block; 0 = mixed (or blocks of size 0) */
	uint16_t origin;
	uint8_t mixed;   /* size says nothing: many sizes */
	uint8_t is_held; /* the server's: see stacks_reclaim.c */
	uint16_t alloc_objects_turns, alloc_bytes_turns;
	uint64_t born; /* a number that no other site has, ascending; then 2 bits of origin */
	uint64_t alloc_objects_fx, alloc_bytes_fx;
	uint64_t free_objects_fx, free_bytes_fx;
};

/*
 * What an id stands for; an id that is none, which a host's wild write can leave
 * in any table, stands for an empty stack and a site that nobody reads.
 */
struct stack *stack_at(uint32_t id);
struct site *site_at(uint32_t id);

/*
 * What labels multiply may not take the room of stacks: where all stacks and sites
 * under labels together have this share of the arena (in eighths), more of them
 * are recorded without their labels, which is counted (labelsets_counters).
 */
#define STACKS_LABELLED_EIGHTHS 4

/*
 * Once, in the constructor, with the region and before the first record: makes the sites
 * that last, one for each origin of what has no room and of the totals of what was
 * reclaimed.  -1: no room for them.
 */
int stacks_init(void);

/* Whether it is one of those, of no frames. */
bool stack_is_lasting(const struct stack *stack);

/* The site that has the totals of what was reclaimed of this origin. */
uint32_t stacks_reclaimed_to(enum origin origin);

/*
 * The site for this stack, size and origin, made if need be; where there is no room the
 * one that comes nearest, never 0.  Lock-free.  Under a pin, until what is counted is counted.
 */
uint32_t stacks_site(const struct capture *c, uint64_t size, enum origin origin);

void site_add_alloc(struct site *s, struct weight w);
void site_add_free(struct site *s, struct weight w);

/* What was allocated at a site ever: beyond 64 bits, in fixed point. */
struct site_allocated {
	unsigned __int128 objects_fx, bytes_fx;
};
struct site_allocated site_allocated(const struct site *s);

/* All stacks and sites there are, for status. */
uint32_t stacks_count(void);
uint32_t stacks_site_count(void);
uint64_t stacks_coarse(
	void); /* how often one was recorded as CAPTURE_NO_ROOM, with frames or none */

/* ---- for those who go through the table: the server's thread only ------- */

uint32_t *stacks_buckets(size_t *count);
/* A stack back into its bucket. */
void stacks_link(uint32_t id);
/* A stack that was taken out of its bucket and that nothing refers to: its cells are free. */
void stacks_free(uint32_t id);
/* Share of the room for what is under labels that is taken, in thousandths. */
uint32_t stacks_labelled_permille(void);
/* As site.born: the largest of any site that was made. */
uint64_t stacks_latest_born(void);
#define SITE_BORN_ORIGIN(born) ((enum origin)((born)&3))

/* ---- what a reader works on: stacks_read.c ------------------------------ */

/* What is in use now, by origin: a thread's stack by its size, not by what is resident. */
struct stacks_totals {
	uint64_t bytes[ORIGIN_COUNT];
	uint64_t objects[ORIGIN_COUNT];
};
struct stacks_totals stacks_totals(void);

/* One site's figures at one moment, in whole objects and bytes (rounded). */
struct tally {
	uint32_t site; /* id */
	uint32_t reserved;
	uint64_t born; /* of that site: its cell may be another's later */
	int64_t alloc_objects, alloc_bytes;
	int64_t inuse_objects, inuse_bytes;
};

struct snapshot {
	struct tally *tallies; /* in scratch; sites with all figures 0 are left out */
	size_t count;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
};

/*
 * All sites that there were when it began, each with figures that agree (what was
 * freed was allocated); sites made meanwhile are younger and belong to the next one.
 * 0, or -1 when scratch is exhausted.  Takes no lock; good until stacks are
 * reclaimed next, later only for stacks_difference.
 * min_age_ns > 0: only live blocks at least that old count, and the alloc
 * figures equal the in-use ones (Go's profile has no such view; a block that is
 * gone has no age).  That reads the live table, one shard's lock at a time, and
 * the table of mappings.  Threads' stacks in use count at their resident bytes, read from
 * pagemap; allocated, at their size.
 */
int stacks_snapshot(struct scratch *scratch, uint64_t min_age_ns, struct snapshot *out);

/*
 * after - before per site, into *out (growth; in-use figures may be negative).
 * after is of now.  What was in use at stacks reclaimed since counts as freed where
 * their totals went.
 */
int stacks_difference(struct scratch *scratch, const struct snapshot *before,
		      const struct snapshot *after, struct snapshot *out);

#endif
