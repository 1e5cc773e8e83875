/*
 * Owners of address ranges, in layers: an address belongs to the first layer that claims
 * it.
 */
#ifndef CGOHEAP_RANGESET_H
#define CGOHEAP_RANGESET_H

#include "base/base.h"
#include "region/region.h"

struct rangeset_range {
	uint64_t start, end;
	uint32_t site; /* stacks.h; 0 none */
	uint8_t what;  /* defined by the claimant */
	uint8_t reserved[3];
};

/* One layer; ascending and disjoint after rangeset_sort. */
struct rangeset {
	struct rangeset_range *list;
	size_t count, room;
};

/* Adds a range, in any order; ignores empty ones.  -1: out of scratch. */
int rangeset_add(struct scratch *scratch, struct rangeset *claims, uint64_t start, uint64_t end,
		 uint8_t what, uint32_t site);
/* Sorts and cuts overlaps: the range with the lower start keeps them.  -1: out of scratch. */
int rangeset_sort(struct scratch *scratch, struct rangeset *claims);
/* The claim that contains the address, else NULL. */
const struct rangeset_range *rangeset_find(const struct rangeset *claims, uint64_t address);

/* Called for each piece of an address range that has one claim; NULL: unclaimed. */
typedef void rangeset_visit(void *arg, uint64_t start, uint64_t end,
			    const struct rangeset_range *claim);
/* Visits all of [start, end) in ascending pieces; layers in order of precedence. */
void rangeset_cut(const struct rangeset *const *layers, size_t count, uint64_t start, uint64_t end,
		  rangeset_visit *visit, void *arg);

#endif
