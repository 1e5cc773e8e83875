/*
 * Room record: what was sampled: threads, blocks, stacks, labels, mappings. Written by hooks,
 * read by the library's threads. Locks: live and the table of mappings, never two at a time.
 *
 * Interned stacks, and what was allocated at them.
 *
 * A stack is its frames and the goroutine labels it was captured under; it is stored once. It
 * has sites, one per (block size, origin), each with running totals. A stack with more than
 * STACK_MAX_SIZES sizes counts the rest at a site of size 0 ("mixed"). Stacks and sites live in
 * cells of the region's arena (cells.h).
 *
 * When the arena has no room, a stack is recorded by its first C frames and the way into Go
 * alone, as many as fit (CAPTURE_NO_ROOM); if even that does not fit, by its origin alone, at a
 * site that always exists. So no allocation goes uncounted. Stacks with nothing in use make room
 * (stacks_reclaim.h), so hooks use what they look up here under a pin (pins.h). A site in use
 * stays, so a block's record is as good as a pin. Readers run on the server's thread, as
 * reclaiming does, and need neither.
 *
 * Ids are arena offsets / 8 (0 = none).
 */
#ifndef CGOHEAP_STACKS_H
#define CGOHEAP_STACKS_H

#include "base/base.h"
#include "region/cells.h"
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
	uint16_t omitted_at;
	uint8_t is_freeing; /* it frees (stacks_freeing), and has no sites */
	uint8_t is_kept;    /* used by the server: see stacks_reclaim.c */
	uint32_t unloads;   /* unloads_stamp of its frames */
	uint32_t labels;    /* id, labelsets.h; 0 none */
	uint32_t reclaim;   /* used by the server: see stacks_reclaim.c */
	uint64_t frames[];  /* leaf first, as in struct capture */
};

#define SITE_PEAKS 2 /* enum peak, peak.h */

/*
 * Totals only grow; in use = allocated - freed. Fixed point as in struct weight, modulo 2^64.
 * The bytes in use always fit; for the bytes allocated, changes of the top bit are counted too
 * (site_allocated). An addition is atomic, and costs as much as thirty other instructions: where
 * objects follow from bytes (site_block_bytes), they are not counted, and a site has no room for
 * them (SITE_BYTES).
 */
struct site {
	uint32_t stack; /* id */
	uint32_t next;  /* id of the next site of the same stack */
	uint64_t size;  /* of each block; 0 = mixed (or blocks of size 0) */
	uint8_t origin;
	uint8_t frees_seen; /* the first frees that were captured: frees.h */
	uint8_t mixed;      /* several sizes; size is meaningless */
	uint8_t is_held;    /* used by the server: see stacks_reclaim.c */
	uint16_t alloc_objects_turns, alloc_bytes_turns;
	uint64_t born; /* unique and ascending over all sites; the low 2 bits are the origin */
	uint64_t alloc_bytes_fx, free_bytes_fx;
	uint64_t peak_bytes[SITE_PEAKS]; /* what it had at a peak: peak.h */
	/* Only where site_block_bytes is 0: */
	uint64_t alloc_objects_fx, free_objects_fx;
	uint64_t peak_objects[SITE_PEAKS];
};
#define SITE_BYTES                                                                                 \
	offsetof(struct site, alloc_objects_fx) /* of a site whose blocks have one size */

/*
 * Resolve an id. An invalid id, which a host's wild write can leave in any table, gives an empty
 * stack and a site that is never read.
 */
struct stack *stack_at(uint32_t id);
struct site *site_at_wide(uint32_t id);
static inline struct site *site_at(uint32_t id)
{
	return likely(cells_is_unit(id, CELL_SITE)) ? region_at((uint64_t)id * 8)
						    : site_at_wide(id);
}

/* Whether it is a site's id, of whatever width. */
bool site_is_there(uint32_t id);

/*
 * Call once, in the constructor, with the region and before the first record. Makes the
 * permanent sites: for each origin, one for what has no room and one for the totals of what was
 * reclaimed. -1: no room for them.
 */
int stacks_init(void);

/* Whether stack belongs to a permanent site; it has no frames. */
bool stack_is_lasting(const struct stack *stack);

/* The site that holds the totals of what was reclaimed of this origin. */
uint32_t stacks_reclaimed_to(enum origin origin);

/*
 * The site for this stack, size and origin, created if needed. If there is no room, the closest
 * existing site, never 0. Lock-free. Call under a pin and hold it until the allocation is
 * counted.
 */
uint32_t stacks_site(const struct capture *c, uint64_t size, enum origin origin);

/*
 * The id of the stack c of a free; 0: it is not there. may_add: if it is not, it is added if there
 * is room (PART_FREES). It has no labels. Lock-free. Call under a pin and hold it until who frees
 * refers to the stack (frees.h).
 */
uint32_t stacks_freeing(const struct capture *c, bool may_add);

/*
 * The size that all blocks of the site have; 0: they differ, or have no bytes, or are mappings,
 * which may be freed in parts.
 */
static inline uint64_t site_block_bytes(const struct site *s)
{
	return s->origin == ORIGIN_MALLOC ? LOAD(&s->size) : 0;
}

/* As counted, which they only are where blocks have no one size. */
static inline uint64_t site_objects_made_fx(const struct site *s)
{
	return site_block_bytes(s) ? 0 : LOAD(&s->alloc_objects_fx);
}
static inline uint64_t site_objects_freed_fx(const struct site *s)
{
	return site_block_bytes(s) ? 0 : LOAD_ACQ(&s->free_objects_fx);
}

/* Counts how often the top bit changes: see site_allocated. */
static inline void site_add(uint64_t *low, uint16_t *turns, uint64_t n)
{
	uint64_t before = ADD(low, n);

	if (unlikely((before ^ (before + n)) >> 63))
		__atomic_fetch_add(turns, 1, __ATOMIC_RELEASE);
}

static inline void site_add_alloc(struct site *s, struct weight w)
{
	if (unlikely(!site_block_bytes(s)))
		site_add(&s->alloc_objects_fx, &s->alloc_objects_turns, w.objects_fx);
	site_add(&s->alloc_bytes_fx, &s->alloc_bytes_turns, w.bytes_fx);
}

/* Releasing, so that a reader of this free also sees the allocation it belongs to. */
static inline void site_add_free(struct site *s, struct weight w)
{
	if (unlikely(!site_block_bytes(s)))
		__atomic_fetch_add(&s->free_objects_fx, w.objects_fx, __ATOMIC_RELEASE);
	__atomic_fetch_add(&s->free_bytes_fx, w.bytes_fx, __ATOMIC_RELEASE);
}

/* What was ever allocated at a site, in fixed point with more than 64 bits. */
struct site_allocated {
	unsigned __int128 objects_fx, bytes_fx;
};
struct site_allocated site_allocated(const struct site *s);

/* The number of stacks and sites, for the status. */
uint32_t stacks_count(void);
uint32_t stacks_site_count(void);
uint64_t stacks_coarse(
	void); /* how often a stack was recorded as CAPTURE_NO_ROOM, with frames or none */

/* ---- for callers that walk the table: the server's thread only --------- */

uint32_t *stacks_buckets(size_t *count);
/* Every stack, those being reclaimed too. */
void stacks_each(void (*visit)(uint32_t stack, void *arg), void *arg);
/* Puts a stack back into its bucket. */
void stacks_link(uint32_t id);
/* Frees the cells of a stack that is out of its bucket and that nothing refers to. */
void stacks_free(uint32_t id);
/* The largest site.born of any site ever made. */
uint64_t stacks_latest_born(void);
#define SITE_BORN_ORIGIN(born) ((enum origin)((born)&3))

/* ---- what a reader works on: stacks_read.c ------------------------------ */

/* Every site, those of stacks that are being reclaimed too. */
void stacks_each_site(void (*visit)(uint32_t site, void *arg), void *arg);

/* In use now, by origin. A thread's stack counts with its size, not its resident bytes. */
struct stacks_totals {
	uint64_t bytes[ORIGIN_COUNT];
	uint64_t objects[ORIGIN_COUNT];
};
struct stacks_totals stacks_totals(void);

/*
 * One site's figures at one moment, in whole objects and bytes (rounded); or those of several sites
 * of one stack and origin, of which it has the first (cohorts.h).
 */
struct tally {
	uint32_t site;    /* id */
	uint32_t stack;   /* id; in a snapshot of all sites */
	uint64_t born;    /* of that site: its cell may be reused later */
	uint32_t age;     /* 0: any; cohorts.h */
	bool is_many;     /* of several sites */
	uint8_t freed_by; /* enum freed_by, where stack is the freeing one (profile_frees.h) */
	int64_t alloc_objects, alloc_bytes;
	int64_t inuse_objects, inuse_bytes;
};

static inline bool tally_is_zero(const struct tally *t)
{
	return !(t->alloc_objects | t->alloc_bytes | t->inuse_objects | t->inuse_bytes);
}

struct tally stacks_tally(uint32_t site);

/* Visits every site. */
void stacks_each_site(void (*visit)(uint32_t site, void *arg), void *arg);

/* The size of each of its blocks; 0: several, or not known, or blocks without bytes. */
static inline uint64_t tally_block_bytes(const struct tally *t)
{
	const struct site *s = site_at(t->site);

	return t->is_many || s->mixed ? 0 : s->size;
}

struct snapshot {
	/* In scratch, without sites whose figures are all 0. In a snapshot of all sites a stack's
	 * are neighbours, and stacks are in the order of their addresses, so that readers walk
	 * through memory and do not jump about in it. */
	struct tally *tallies;
	size_t count;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
};

/*
 * All sites that existed when it began, each with consistent figures (what was freed was
 * allocated). Sites made meanwhile belong to the next snapshot. Returns 0, or -1 if scratch is
 * exhausted. Takes no lock. Valid until stacks are reclaimed next; after that, only for
 * stacks_difference.
 *
 * min_age_ns > 0: counts only live blocks at least that old, and the alloc figures equal the
 * in-use ones (Go's profile has no such view; a freed block has no age). This reads the live
 * table, one shard's lock at a time, and the table of mappings. Threads' stacks in use count
 * with their resident bytes, read from pagemap; allocated, with their size.
 */
int stacks_snapshot(struct scratch *scratch, uint64_t min_age_ns, struct snapshot *out);

/*
 * Puts after - before per site into *out (growth; in-use figures may be negative). after must be
 * current. What was in use at stacks reclaimed since counts as freed at the site that took over
 * their totals.
 */
int stacks_difference(struct scratch *scratch, const struct snapshot *before,
		      const struct snapshot *after, struct snapshot *out);

#endif
