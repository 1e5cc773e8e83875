/*
 * Who keeps C's free memory from going back to the kernel, by stack: the blocks in use on whose
 * pages it lies (holders.h), or in whose slabs if the allocator is jemalloc (slabholders.h).
 *
 * By samples: what each sampled block holds times its weight, which is unbiased. Where few samples
 * stand for much, by sizes: a walk (heapwalk.h) counts exactly how much chunks of each size hold,
 * and stacks have the share of their samples of that size: of those that hold memory where there
 * are several, otherwise of all. What the walk did not reach is by samples. A walk cannot tell
 * blocks from cached or older ones, so that stacks are given at most the part of a size that the
 * samples stand for.
 *
 * Like all that is slow, it is not read again within 100 times the processor time that it took.
 */
#ifndef CGOHEAP_PINNED_H
#define CGOHEAP_PINNED_H

#include "region/region.h"
#include "account/glibcchunk.h"
#include "account/glibckept.h"
#include "account/jemallocbins.h"

enum pinned_method { PINNED_UNKNOWN, PINNED_BY_SAMPLES, PINNED_BY_SIZES };
extern const char *const pinned_method_names[]; /* NULL, "samples", "sizes" */

/* A site, which is a stack and a size of blocks. */
struct pinned_site {
	uint32_t site;  /* stacks.h; 0: it is gone */
	uint32_t stack; /* of it */
	uint64_t born;
	double bytes;               /* pinned */
	double variance;            /* of that */
	double blocks, block_bytes; /* that pin it, and their own bytes */
};

#define PINNED_SITES 512
struct pinned {
	enum pinned_method method;
	bool is_partial;        /* time ran out, or part of the heap could not be read */
	struct pinned_site sum; /* of all sites, those that have no room here too */
	uint64_t walked_chunks; /* 0: no walk */
	struct glibckept kept;  /* by the walk; UNKNOWN */
	size_t count;
	struct pinned_site sites[PINNED_SITES]; /* those that pin most; a stack's together, by
						 * stack */
};

/* Where free memory is: one of them. */
struct pinned_places {
	const struct glibcchunk_heaps *heaps;
	const struct jemallocbins *bins;
};

/*
 * Into *out. pinned_bytes: what is pinned according to the split of retained memory, which decides
 * how certain an estimate must be; UNKNOWN: walk in any case, to find the split. -1: out of
 * scratch, and out->method is PINNED_UNKNOWN.
 */
int pinned_read(struct scratch *scratch, const struct pinned_places *places, uint64_t pinned_bytes,
		struct pinned *out);

/*
 * The stacks that pin most, most first; each as one of its sites, with the figures of all that are
 * there. Returns their number. What has no stack any more is left out.
 */
#define PINNED_TOP 10
size_t pinned_top(const struct pinned *pinned, struct pinned_site out[PINNED_TOP]);

/* Marks sites as gone that were reclaimed since it was read. */
void pinned_check_sites(struct pinned *pinned);

#endif
