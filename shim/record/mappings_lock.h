/*
 * For files that work on the table of mappings: its lock, and page arithmetic.
 */
#ifndef CGOHEAP_MAPPINGS_LOCK_H
#define CGOHEAP_MAPPINGS_LOCK_H

#include "base/base.h"
#include "record/mappings_tree.h"

/* -1: the lock was not taken, so do not leave. Either this thread already holds it (a
 * signal handler interrupted it), which is counted, or the tree was overwritten. */
__attribute__((warn_unused_result)) int mappings_enter(void);
void mappings_leave(void);

/* Under the lock: the lowest range that ends above address, or 0. */
static inline uint32_t mappings_above(uint64_t address)
{
	return mappings_tree_above(mappings_head()->root, address);
}

static inline uint64_t mappings_page(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_BYTES - 1);
}

/* At most the last page of the address space: a range that would wrap around ends there. */
static inline uint64_t mappings_page_end(uint64_t start, uint64_t bytes)
{
	uint64_t end;

	if (__builtin_add_overflow(start, bytes, &end) || end > mappings_page(UINT64_MAX))
		return mappings_page(UINT64_MAX);
	return ALIGN_UP(end, (uint64_t)PAGE_BYTES);
}

#endif
