/*
 * Who frees: for each site, how much of what was freed there was freed by whom.
 *
 * Of the first frees of a site each is captured, and of later ones one in many, which then counts
 * for all of them; so the figures are estimates without bias. A free that was not captured, or
 * whose stack does not lead to a root, belongs to no kind. A realloc that moves a block is no free:
 * the block that it returns is what has to be freed.
 */
#ifndef CGOHEAP_FREES_H
#define CGOHEAP_FREES_H

#include "base/base.h"
#include "record/stacks.h"

/* By the function that the freeing goroutine or thread began with. */
enum freed_by {
	FREED_BY_FINALIZER, /* the goroutine that runs finalizers */
	FREED_BY_CLEANUP,   /* one that runs cleanups (runtime.AddCleanup) */
	FREED_BY_GO,        /* any other goroutine */
	FREED_BY_C,         /* a thread with no Go on its stack */
	FREED_BY_COUNT,
	FREED_BY_UNKNOWN = FREED_BY_COUNT
};
extern const char *const freed_by_names[FREED_BY_COUNT]; /* "finalizer", "cleanup", "go", "c" */

/*
 * What was freed, in fixed point as in struct weight; at most 2^64 - 1. Only what is known: the sum
 * is below what was freed at the site.
 */
struct frees_kinds {
	uint64_t objects_fx[FREED_BY_COUNT], bytes_fx[FREED_BY_COUNT];
	uint64_t unknown_objects_fx, unknown_bytes_fx; /* captured, but of unknown kind */
};

/* ---- readers: the server's thread only ----------------------------------- */

/* All zeros: nothing is known. */
struct frees_kinds frees_of(uint32_t site);

/* The kind that freed most bytes there; FREED_BY_UNKNOWN: it is not known, or there were none. */
enum freed_by frees_most(const struct frees_kinds *kinds);

/*
 * What of so many bytes in use at a site only a garbage collection can free: its share of the frees
 * by finalizers and cleanups. UNKNOWN (pagemap.h): no free of the site is known.
 */
uint64_t frees_debt_bytes(uint32_t site, uint64_t inuse_bytes);

/* The same for all blocks in use. */
struct frees_debt {
	uint64_t inuse_bytes; /* of blocks, ORIGIN_MALLOC */
	uint64_t known_bytes; /* of these, at sites whose frees are known */
	uint64_t debt_bytes;  /* of these, only a garbage collection can free */
};
struct frees_debt frees_debt_now(void);

#endif
