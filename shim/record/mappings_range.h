/*
 * A range of the address space in the table of mappings.
 */
#ifndef CGOHEAP_MAPPINGS_RANGE_H
#define CGOHEAP_MAPPINGS_RANGE_H

#include "base/base.h"

enum mappings_kind {
	MAPPINGS_C,            /* C code; see site */
	MAPPINGS_ALLOCATOR,    /* the allocator behind malloc (jemalloc, tcmalloc ...) mapped it for
				* itself */
	MAPPINGS_GO_HEAP,      /* an arena: heap and goroutine stacks */
	MAPPINGS_GO_METADATA,  /* other memory of the runtime */
	MAPPINGS_THREAD_STACK, /* of a running thread; site: its creator */
	MAPPINGS_CACHED_STACK, /* its thread has ended; libc keeps it or has unmapped it:
				* reconcile */
	MAPPINGS_KIND_COUNT
};

enum {
	MAPPINGS_USABLE = 1, /* not PROT_NONE */
	MAPPINGS_FILE = 2,   /* maps a file */
	MAPPINGS_SHARED = 4,
	MAPPINGS_HEAD = 8, /* in copies for readers: the piece that counts its object */
};

struct mappings_range {
	uint64_t start, end; /* page-aligned */
	/* stacks.h; 0: none. A range that is not usable keeps the site that reserved or last
	 * used it. */
	uint32_t site;
	uint32_t tick; /* when it was mapped, moved or made usable; see live.h */
	uint8_t kind;
	uint8_t flags;
	uint16_t reserved;
	uint32_t thread; /* tid, of thread stacks */
};

static inline bool mappings_counts(uint32_t site, uint8_t kind, uint8_t flags)
{
	return site && (flags & (MAPPINGS_USABLE | MAPPINGS_FILE)) == MAPPINGS_USABLE &&
	       (kind == MAPPINGS_C || kind == MAPPINGS_THREAD_STACK);
}

/* Whether the range's bytes are in its site's figures. */
static inline bool mappings_is_counted(const struct mappings_range *range)
{
	return mappings_counts(range->site, range->kind, range->flags);
}

#endif
