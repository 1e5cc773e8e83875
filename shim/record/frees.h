/*
 * Who frees: for each site, how much of what was freed there was freed by whom, and by which
 * stacks.
 *
 * Of the first frees of a site each is captured, and of later ones one in many, which then counts
 * for all of them, whatever it is; so the figures are estimates without bias. A free that was not
 * captured, or whose stack does not lead to a root, belongs to no kind. A realloc that returns a
 * block is no free: what it returns is what has to be freed.
 *
 * A record has 192 bytes of the arena, in PART_FREES, as have the stacks. They stay as long as the
 * site does. What finds no room is counted.
 */
#ifndef CGOHEAP_FREES_H
#define CGOHEAP_FREES_H

#include "base/base.h"
#include "record/stacks.h"
#include "record/weight.h"

/* By the function that the freeing goroutine or thread began with. */
enum freed_by {
	FREED_BY_FINALIZER, /* the goroutine that runs finalizers */
	FREED_BY_CLEANUP,   /* one that runs cleanups (runtime.AddCleanup) */
	FREED_BY_GO,        /* other Go code, also where C has called it */
	FREED_BY_C,         /* a thread with no Go on its stack */
	FREED_BY_COUNT,
	FREED_BY_UNKNOWN = FREED_BY_COUNT,
	FREED_BY_ALL /* with the unknown */
};
extern const char *const freed_by_names[FREED_BY_COUNT]; /* "finalizer", "cleanup", "go", "c" */

/* ---- hooks ----------------------------------------------------------------- */

#define FREES_FIRST  16   /* of a site, each is captured, as long as there are not too many */
#define FREES_ONE_IN 64u  /* of later ones; a power of two */
#define FREES_SPARE  1024 /* first ones at once; then one more for each FREES_ONE_IN frees */

/* One in so many times more, where they cost too much (budget.h). */
#define FREES_MOST_DOUBLINGS 12
extern uint32_t frees_doublings __attribute__((visibility("hidden")));

/* The frees of a thread fall into runs of one_in; one of each run is captured, whichever. */
struct frees_thread {
	uint32_t left;   /* frees until the next that is captured */
	uint32_t one_in; /* of its run; 0: none has begun */
	uint32_t after;  /* frees in its run after it */
	uint64_t rng;
};
extern __thread struct frees_thread frees_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
uint32_t frees_decide(struct site *site);

/*
 * Asked once for each free of a block of the site: if its stack is to be captured, for how many
 * frees it counts; else 0. Six instructions if not. Call while the thread is inside the shim.
 */
static inline uint32_t frees_count_for(struct site *site)
{
	uint32_t left = LOAD(&frees_self.left);

	if (unlikely(LOAD(&site->frees_seen) < FREES_FIRST || !left))
		return frees_decide(site);
	STORE(&frees_self.left, left - 1);
	return 0;
}

/*
 * The stack c has freed what w says, at the site, and counts for so many frees. Call under a pin,
 * while the site is in use.
 */
void frees_add(uint32_t site, struct weight w, uint32_t count, const struct capture *c);

/* It was to be captured, but there was no recording stack. */
void frees_count_missed(void);

/* ---- the server's thread only ---------------------------------------------- */

/*
 * What was freed, in fixed point as in struct weight; at most 2^64 - 1. Only what is known: the sum
 * may be far below what was freed at the site.
 */
struct frees_kinds {
	uint64_t objects_fx[FREED_BY_COUNT], bytes_fx[FREED_BY_COUNT];
	uint64_t unknown_objects_fx, unknown_bytes_fx; /* captured, but of unknown kind */
};

/* All zeros: nothing is known. */
struct frees_kinds frees_of(uint32_t site);
/* Of all sites of a stack. */
struct frees_kinds frees_of_stack(uint32_t stack);

/* The kind that freed most bytes there; FREED_BY_UNKNOWN: it is not known, or there were none. */
enum freed_by frees_most(const struct frees_kinds *kinds);

/*
 * What a site's freeing stacks freed: up to FREES_STACKS of them, then what others did, by kind.
 * Returns how many of out are set.
 */
#define FREES_STACKS 4
struct frees_part {
	uint32_t stack; /* id; 0: other stacks of that kind */
	enum freed_by kind;
	uint64_t objects_fx, bytes_fx;
};
#define FREES_PARTS (FREES_STACKS + FREED_BY_ALL)
size_t frees_parts(uint32_t site, struct frees_part out[FREES_PARTS]);

/* Visits the freeing stacks that the site's record refers to. */
void frees_each_stack(uint32_t site, void (*visit)(uint32_t stack));

/* The site is about to be reclaimed. */
void frees_forget(uint32_t site);

struct frees_counters {
	uint64_t captured; /* all but sites only grow */
	uint64_t missed;   /* frees_count_missed */
	uint64_t no_room;  /* captured, but there was no room for a record or for the stack */
	uint32_t sites;    /* with a record, now */
	uint32_t one_in;   /* now */
};
struct frees_counters frees_counters(void);

#endif
