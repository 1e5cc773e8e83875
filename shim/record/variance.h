/*
 * How uncertain the estimate of all that was ever allocated is. Sites do not keep the intervals at
 * which their blocks were sampled, and freed blocks are gone; so the variances of all samples are
 * summed here as they are recorded.
 */
#ifndef CGOHEAP_VARIANCE_H
#define CGOHEAP_VARIANCE_H

#include "base/base.h"
#include "record/weight.h"

/* A block of `size` bytes was sampled, and stands for w. Hooks; lock-free, and no store at interval
 * 1. */
void variance_add(uint64_t size, struct weight w);

/* Of the objects (16 fraction bits), and of the bytes, so far. */
struct variance {
	unsigned __int128 objects_fx, bytes;
};
struct variance variance_get(void);

#endif
