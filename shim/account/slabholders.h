/*
 * What holders.h and heapwalk.h find in glibc's heaps, by what jemalloc says of its slabs
 * (jemallocbins.h): its sizes are the classes. Server thread; asks on the worker.
 */
#ifndef CGOHEAP_SLABHOLDERS_H
#define CGOHEAP_SLABHOLDERS_H

#include "account/heapwalk.h"
#include "account/jemallocbins.h"

/* Looks at what each block holds. 0, or -1: this jemalloc cannot be asked, and they hold nothing.
 */
int slabholders_look(struct holders *holders, const struct jemallocbins *bins);

/* What blocks of each size hold. was_asked: that what each holds is known. -1: out of scratch. */
int slabholders_count(struct scratch *scratch, const struct jemallocbins *bins,
		      struct holders *holders, bool was_asked, struct heapwalk *out);

#endif
