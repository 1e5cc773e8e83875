/*
 * Binary search in what is sorted.
 *
 * SEARCH(count, i, is_before): how many of the elements 0 .. count - 1 come first for which
 * is_before, an expression in i, holds; it holds for none after them. So it is the index of the
 * first for which it does not hold, or count. Where the elements are not sorted after all, the
 * result is any number up to count.
 */
#ifndef CGOHEAP_SEARCH_H
#define CGOHEAP_SEARCH_H

#include "base/base.h"

#define SEARCH(count, i, is_before)                                                                \
	({                                                                                         \
		size_t search_low = 0, search_high = (count);                                      \
		while (search_low < search_high) {                                                 \
			size_t i = search_low + (search_high - search_low) / 2;                    \
			if (is_before)                                                             \
				search_low = i + 1;                                                \
			else                                                                       \
				search_high = i;                                                   \
		}                                                                                  \
		search_low;                                                                        \
	})

#endif
