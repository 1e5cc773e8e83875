/*
 * What one sampled block stands for, in fixed point: how many blocks, 16 fraction bits, and how
 * many bytes, 8 fraction bits.
 */
#ifndef CGOHEAP_WEIGHT_H
#define CGOHEAP_WEIGHT_H

#include <stdint.h>

#define WEIGHT_OBJECT_BITS 16
#define WEIGHT_BYTE_BITS   8
struct weight {
	uint64_t objects_fx;
	uint64_t bytes_fx;
};

/* One block that stands for itself. */
static inline struct weight weight_whole(uint64_t size)
{
	return (struct weight){UINT64_C(1) << WEIGHT_OBJECT_BITS, size << WEIGHT_BYTE_BITS};
}

#endif
