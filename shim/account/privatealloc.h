/*
 * Allocators under a private name: jemalloc with a prefix (duckdb_je_mallctl), in the program or
 * one of its libraries. Their memory is C mmap, at the site that mapped it; their own statistics
 * say how much is in use.
 *
 * Only in modules that were loaded at start: a library loaded by dlopen could be unloaded during
 * the call. They are called on the worker, like the allocator behind malloc (allocator.h), and
 * no more often, because their statistics take their locks.
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

/* The private allocators found, with their figures. Server thread; up to 1 s if one does not
 * answer. */
size_t privatealloc_read(struct scratch *scratch, const struct modules *modules,
			 struct privatealloc out[PRIVATEALLOC_MAX]);

#endif
