/*
 * Multiplicative hashing (Knuth, TAOCP 3, 6.4): a multiple of 2^64 / the golden ratio. Its high
 * bits are spread well, its low bits are not.
 */
#ifndef CGOHEAP_HASH_H
#define CGOHEAP_HASH_H

#include "base/base.h"

static inline uint64_t hash_spread(uint64_t key)
{
	return key * UINT64_C(0x9E3779B97F4A7C15);
}

#endif
