/*
 * The two functions that sampling needs, without floating point.
 *
 * A hook must not raise a floating-point exception (which kills a host that has unmasked them),
 * depend on the host's rounding mode, or call libm. The relative error of each is below 2^-40.
 */
#ifndef CGOHEAP_FIXED_H
#define CGOHEAP_FIXED_H

#include "base/base.h"
#include "record/weight.h"

/*
 * The smallest integer not below an exponential draw of mean `interval`, and at least 1. random:
 * 64 uniform bits.
 */
uint64_t fixed_exponential(uint64_t random, uint32_t interval);

/* sample_weight, for 1 < interval, 0 < size, size / interval < FIXED_MAX_INTERVALS. */
#define FIXED_MAX_INTERVALS 40
struct weight fixed_weight(uint64_t size, uint32_t interval);

#endif
