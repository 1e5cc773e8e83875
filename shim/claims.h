/*
 * Who claims which addresses: layers of ranges, the first layer that claims an
 * address has it.
 */
#ifndef CGOHEAP_CLAIMS_H
#define CGOHEAP_CLAIMS_H

#include "base.h"
#include "region.h"

struct claim {
	uint64_t start, end;
	uint32_t site; /* stacks.h; 0 none */
	uint8_t what;  /* the claimant's own vocabulary */
	uint8_t reserved[3];
};

/* One layer: ascending and disjoint once claims_sort is done. */
struct claims {
	struct claim *list;
	size_t count, room;
};

/* Adds a range in any order; empty ones are ignored.  False: scratch is exhausted. */
bool claims_add(struct scratch *scratch, struct claims *claims, uint64_t start, uint64_t end,
		uint8_t what, uint32_t site);
/* Sorts, and cuts what overlaps: the lower start keeps the common part.  False: no scratch. */
bool claims_sort(struct scratch *scratch, struct claims *claims);
/* The claim that holds the address, else NULL. */
const struct claim *claims_find(const struct claims *claims, uint64_t address);

/* A piece of an address range with one claimant; claim NULL: nobody's. */
typedef void claims_visit(void *arg, uint64_t start, uint64_t end, const struct claim *claim);
/* Visits all of [start, end) in pieces, ascending; layers in order of precedence. */
void claims_cut(const struct claims *const *layers, size_t count, uint64_t start, uint64_t end,
		claims_visit *visit, void *arg);

#endif
