/* z_stream's zalloc and zfree, with memory from the scratch in its opaque. */
#ifndef CGOHEAP_ZSCRATCH_H
#define CGOHEAP_ZSCRATCH_H

#include "region/region.h"

static inline void *zscratch_alloc(void *scratch, unsigned items, unsigned size)
{
	size_t bytes;
	if (__builtin_mul_overflow((size_t)items, (size_t)size, &bytes))
		return NULL;
	return scratch_alloc(scratch, bytes);
}

static inline void zscratch_free(void *scratch, void *p)
{
	(void)scratch; /* released as a whole */
	(void)p;
}

#endif
