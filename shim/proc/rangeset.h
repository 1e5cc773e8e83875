/*
 * Who claims which addresses: layers of ranges, the first layer that claims an
 * address has it.
 */
#ifndef CGOHEAP_RANGESET_H
#define CGOHEAP_RANGESET_H

#include "base/base.h"
#include "region/region.h"

struct rangeset_range {
	uint64_t start, end;
	uint32_t site; /* stacks.h; 0 none */
	uint8_t what;  /* the claimant's own vocabulary */
	uint8_t reserved[3];
};

/* One layer: ascending and disjoint once rangeset_sort is done. */
struct rangeset {
	struct rangeset_range *list;
	size_t count, room;
};

/* Adds a range in any order; empty ones are ignored.  False: scratch is exhausted. */
bool rangeset_add(struct scratch *scratch, struct rangeset *claims, uint64_t start, uint64_t end,
		  uint8_t what, uint32_t site);
/* Sorts, and cuts what overlaps: the lower start keeps the common part.  False: no scratch. */
bool rangeset_sort(struct scratch *scratch, struct rangeset *claims);
/* The claim that holds the address, else NULL. */
const struct rangeset_range *rangeset_find(const struct rangeset *claims, uint64_t address);

/* A piece of an address range with one claimant; claim NULL: nobody's. */
typedef void rangeset_visit(void *arg, uint64_t start, uint64_t end,
			    const struct rangeset_range *claim);
/* Visits all of [start, end) in pieces, ascending; layers in order of precedence. */
void rangeset_cut(const struct rangeset *const *layers, size_t count, uint64_t start, uint64_t end,
		  rangeset_visit *visit, void *arg);

#endif
