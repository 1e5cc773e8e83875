/*
 * Allocators under a name of their own: jemalloc with a prefix (duckdb_je_mallctl),
 * in the program or a library of it.  Their memory is C mmap by who mapped it; what
 * of it is in use their own statistics say.
 *
 * Only in modules that were there at start: a library that dlopen brought may go
 * while it is asked.  They are asked on the worker, as the allocator that answers
 * malloc is (allocator.h), and no more often: their statistics take their locks.
 */
#ifndef CGOHEAP_PRIVATEALLOC_H
#define CGOHEAP_PRIVATEALLOC_H

#include "base/base.h"
#include "region/region.h"
#include "proc/modules.h"

#define PRIVATEALLOC_MAX          4
#define PRIVATEALLOC_PREFIX_BYTES 64

/* Its statistics ("stats.allocated" and so on); UNKNOWN. */
struct privatealloc {
	char prefix[PRIVATEALLOC_PREFIX_BYTES]; /* of its functions' names */
	uint64_t in_use, active, metadata, resident, mapped, retained;
};

/* Those there are, with their figures.  Server thread; up to 1 s where one does not answer. */
size_t privatealloc_read(struct scratch *scratch, const struct modules *modules,
			 struct privatealloc out[PRIVATEALLOC_MAX]);

#endif
