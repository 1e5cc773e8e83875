/*
 * glibc malloc's own memory, recognised by what glibc writes into it.
 *
 * Its mappings do not pass the hooks, and neither do raw system calls of other
 * code; so an anonymous mapping is the allocator's only where its structures say
 * so: the header of a heap, at every 64 MiB of an arena (malloc/arena.c, since
 * 2.2; 2.35 added a field behind those read here), or the header of a chunk with
 * a mapping of its own (malloc/malloc.c).  The kernel merges neighbours: chunks
 * are followed one by one to the end of a mapping.
 */
#ifndef CGOHEAP_GLIBCHEAP_H
#define CGOHEAP_GLIBCHEAP_H

#include "base/base.h"
#include "proc/rangeset.h"

enum glibcheap_what {
	GLIBCHEAP_ARENA = 1, /* a heap of an arena: blocks and free space */
	GLIBCHEAP_BIG        /* one block in a mapping of its own */
};

struct glibcheap {
	struct scratch *scratch;
	struct rangeset found;   /* claim.what is an enum glibcheap_what */
	struct rangeset unknown; /* what was looked at and is neither */
	uint64_t arenas;         /* beside the main one */
	uint64_t heap_bytes;     /* of their heaps, as their headers say */
	uint64_t big_bytes;      /* sum of GLIBCHEAP_BIG */
	bool failed;             /* scratch exhausted: something is missing */
};

void glibcheap_init(struct glibcheap *heap, struct scratch *scratch);

/* Looks through [start, end), part of one anonymous mapping, which nobody else claims. */
void glibcheap_look(struct glibcheap *heap, uint64_t start, uint64_t end);

/* Where the chunks that a walk does not come by are looked for. */
struct glibcheap_hints {
	uint64_t big_bytes;     /* what the allocator says it has in big blocks; UNKNOWN: nothing is
				   looked for */
	const uint64_t *blocks; /* addresses that malloc returned, in use, in any order */
	size_t block_count;
	size_t max_pages; /* resident pages to look at one by one */
};

/*
 * Last.  While the allocator says that it has more in big blocks than was found:
 * by blocks that are known, then on every resident page of what is unknown.
 * Then `found` is whole and sorted.
 */
void glibcheap_finish(struct glibcheap *heap, const struct glibcheap_hints *hints);

#endif
