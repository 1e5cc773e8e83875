/*
 * The layout of glibc malloc's memory: heaps, and in each of them chunks side by side. From 2.17 to
 * 2.43 (malloc/malloc.c: struct malloc_chunk; malloc/arena.c: struct _heap_info).
 *
 * A chunk begins with the size of the one before it, which is valid while that one is free, and its
 * own size, whose low bits are flags. A block begins 16 bytes behind its chunk. Blocks in threads'
 * caches and fast bins look like blocks in use. Two free chunks are never side by side.
 *
 * Nothing here takes a lock of glibc's: what is read may be changing, and callers reject what is
 * inconsistent. Only resident pages are read.
 */
#ifndef CGOHEAP_GLIBCCHUNK_H
#define CGOHEAP_GLIBCCHUNK_H

#include "base/pagemap.h"
#include "base/selfmem.h"
#include "proc/rangeset.h"

#define GLIBC_HEAP_BYTES    (UINT64_C(64) << 20) /* HEAP_MAX_SIZE, and how heaps are aligned */
#define GLIBC_FLAGS         UINT64_C(7)
#define GLIBC_PREV_IN_USE   UINT64_C(1) /* the chunk before it is */
#define GLIBC_IS_MAPPED     UINT64_C(2) /* it is alone in a mapping */
#define GLIBC_NOT_MAIN      UINT64_C(4) /* in use, in an arena other than the main one */
#define GLIBC_CHUNK_ALIGNED 16
#define GLIBC_CHUNK_LEAST   32
#define GLIBC_CHUNK_HEADER  16
#define GLIBC_CHUNK_STATE   48 /* sizeof(struct malloc_chunk): malloc_trim keeps it */

struct glibcchunk_heap_header { /* struct _heap_info; 2.35 added a field behind */
	uint64_t arena, previous, bytes, usable_bytes;
};

struct glibcchunk {
	uint64_t before, size_flags;
};

static inline uint64_t glibcchunk_bytes(const struct glibcchunk *c)
{
	return c->size_flags & ~GLIBC_FLAGS;
}

/*
 * Of the free chunk [start, start + bytes): the resident bytes that malloc_trim does not return,
 * because they are on pages that are not entirely free; less than 12 KiB. *whole, unless NULL:
 * those that it returns. UNKNOWN: residency cannot be read. limit: the end of its heap.
 */
uint64_t glibcchunk_stuck(struct pagemap_window *window, uint64_t start, uint64_t bytes,
			  uint64_t limit, uint64_t *whole);

/*
 * Reads the chunks at count addresses (at most SELFMEM_EACH), each below its limit; ok says which
 * of them could be read.
 */
void glibcchunk_read(struct pagemap_window *window, const uint64_t *at, const uint64_t *limits,
		     size_t count, struct glibcchunk *out, bool *ok);

/* The part of a heap that has chunks, the last of which ends at end. */
struct glibcchunk_heap {
	uint64_t start, end; /* start: of the heap; the first chunk is somewhat behind it */
	bool is_main;        /* the brk heap */
};
struct glibcchunk_heaps {
	struct glibcchunk_heap *list; /* ascending; in scratch */
	size_t count;
};

/* Those in the claims of kind `what`, and [brk_start, brk_end). -1: out of scratch. */
int glibcchunk_heaps_find(struct scratch *scratch, const struct rangeset *claims, uint8_t what,
			  uint64_t brk_start, uint64_t brk_end, struct glibcchunk_heaps *out);

/* The heap that contains the address; NULL: none does. */
const struct glibcchunk_heap *glibcchunk_heap_at(const struct glibcchunk_heaps *heaps,
						 uint64_t address);

#endif
