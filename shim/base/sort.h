/*
 * Sorting without a heap: libc's qsort takes memory from malloc for arrays that
 * are not small.
 */
#ifndef CGOHEAP_SORT_H
#define CGOHEAP_SORT_H

#include "base/base.h"

struct sort_item {
	uint64_t key;
	uint64_t value;
};

/* Ascending by key, equal keys in no particular order.  In place, O(n log n) always, no recursion.
 */
void sort_items(struct sort_item *items, size_t count);

#endif
