/*
 * Sorting without allocation: libc's qsort calls malloc for large arrays.
 */
#ifndef CGOHEAP_SORT_H
#define CGOHEAP_SORT_H

#include "base/base.h"

struct sort_item {
	uint64_t key;
	uint64_t value;
};

/* Ascending by key; not stable.  In place, always O(n log n), no recursion. */
void sort_items(struct sort_item *items, size_t count);

#endif
