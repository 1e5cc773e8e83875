/*
 * Recognises glibc malloc's memory by the structures that glibc writes into it.
 *
 * Its mappings do not pass the hooks, and neither do raw system calls of other code. So an
 * anonymous mapping is attributed to the allocator only if its structures are there: the header
 * of a heap, at every 64 MiB of an arena (malloc/arena.c, since 2.2; 2.35 added a field behind
 * those read here), or the header of a chunk with its own mapping (malloc/malloc.c). The kernel
 * merges adjacent mappings, so chunks are followed one by one to the end of a mapping.
 */
#ifndef CGOHEAP_GLIBCHEAP_H
#define CGOHEAP_GLIBCHEAP_H

#include "base/base.h"
#include "proc/rangeset.h"

enum glibcheap_what {
	GLIBCHEAP_ARENA = 1, /* a heap of an arena: blocks and free space */
	GLIBCHEAP_BIG        /* a block with its own mapping */
};

struct glibcheap {
	struct scratch *scratch;
	struct rangeset found;   /* claim.what is an enum glibcheap_what */
	struct rangeset unknown; /* searched, and neither */
	uint64_t arenas;         /* besides the main one */
	uint64_t heap_bytes;     /* total of their heaps, from the headers */
	uint64_t big_bytes;      /* sum of GLIBCHEAP_BIG */
	bool failed;             /* scratch exhausted: something is missing */
};

void glibcheap_init(struct glibcheap *heap, struct scratch *scratch);

/* Searches [start, end), an unclaimed part of one anonymous mapping. */
void glibcheap_look(struct glibcheap *heap, uint64_t start, uint64_t end);

/* Where to look for chunks that the walk does not reach. */
struct glibcheap_hints {
	uint64_t big_bytes;     /* bytes in big blocks according to the allocator; UNKNOWN: do
				 * not look */
	const uint64_t *blocks; /* addresses that malloc returned and that are in use, in any
				 * order */
	size_t block_count;
	size_t max_pages; /* resident pages to check one by one */
};

/*
 * Call last. While the allocator reports more in big blocks than was found, looks at known
 * blocks, then at every resident page of `unknown`. After that, `found` is complete and sorted.
 */
void glibcheap_finish(struct glibcheap *heap, const struct glibcheap_hints *hints);

#endif
