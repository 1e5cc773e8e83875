/*
 * The sampled blocks in glibc's heaps, and how much free memory each of them holds in place.
 *
 * Two free chunks are never side by side, so exactly one chunk that looks in use lies in front of
 * each free one. That one holds it: what is stuck of the free chunk (glibcchunk_stuck) is counted
 * with the block in front. So a sample's weight times what its block holds is an unbiased estimate
 * of what blocks hold, without a walk over the heap.
 *
 * A block holds nothing if the chunk behind it is in use, in a cache, or the end of its arena, or
 * if it has its own mapping. A block that was freed meanwhile, or whose chunk makes no sense, is
 * left out. Server thread; no lock of glibc's.
 */
#ifndef CGOHEAP_HOLDERS_H
#define CGOHEAP_HOLDERS_H

#include "base/sort.h"
#include "region/region.h"
#include "account/glibcchunk.h"

/*
 * Blocks are compared by the size of their chunk: a class each below 64 KiB, one for each power of
 * two above, where nearly each block is sampled.
 */
#define HOLDER_SMALL_CLASSES (64 * KIB / GLIBC_CHUNK_ALIGNED)
#define HOLDER_CLASSES       (HOLDER_SMALL_CLASSES + 48)
uint32_t holder_class(uint64_t chunk_bytes);

struct holder {
	uint64_t size;   /* requested bytes */
	double weight;   /* blocks it stands for, at least 1 */
	uint32_t site;   /* stacks.h */
	uint16_t class;  /* of its chunk; valid if it is in a heap */
	uint32_t stuck;  /* bytes that it holds */
	bool is_in_heap; /* in glibc's heaps, its chunk makes sense */
	bool is_walked;  /* a walk came upon it (heapwalk.h) */
};

struct holders {
	struct sort_item *items; /* ascending; key: the address of the chunk, value: in list */
	struct holder *list;
	size_t count, room;
	uint64_t keep_below; /* a block is read if the hash of its address is below */
	double share;        /* of all sampled blocks, those that are read; see weight */
	bool was_cut;        /* time ran out: nothing is known */
};

/* Copies the sampled blocks, all or a representative subset. -1: out of scratch. */
int holders_collect(struct scratch *scratch, struct holders *out);
/* Looks at what lies behind each. */
void holders_look(struct holders *holders, const struct glibcchunk_heaps *heaps);

#endif
