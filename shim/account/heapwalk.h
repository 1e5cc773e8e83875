/*
 * A walk over glibc's heaps, chunk by chunk: exactly how much free memory is stuck behind chunks of
 * each size, and how much malloc_trim returns. It sees what holds memory, not who allocated that,
 * so it is compared with the sampled blocks (holders.h).
 *
 * It begins at the first chunk of each heap. Where chunks make no sense, because they are changing
 * or because other code took memory by sbrk, it goes on at the next sampled block. It marks the
 * blocks that it comes upon: for those that it does not, it has seen nothing.
 *
 * Server thread; no lock of glibc's. About 10 ns a chunk and 0.2 s a GiB of blocks in use; it ends
 * at half of the thread's budget (work.h).
 */
#ifndef CGOHEAP_HEAPWALK_H
#define CGOHEAP_HEAPWALK_H

#include "account/glibckept.h"
#include "account/holders.h"

struct heapwalk_class {
	uint64_t in_use;  /* chunks, those in caches too */
	uint64_t holding; /* of them: those with stuck memory behind them */
	uint64_t stuck_bytes, holding_bytes;
};

struct heapwalk {
	struct heapwalk_class *classes; /* by holder_class; in scratch */
	uint64_t chunks;
	struct glibckept kept;               /* UNKNOWN: part of the heaps was not seen */
	uint64_t stuck_bytes;                /* of all classes, and behind nothing */
	uint64_t walked_bytes, missed_bytes; /* address space */
	bool was_cut;                        /* time ran out */
};

/* -1: out of scratch. */
int heapwalk_run(struct scratch *scratch, const struct glibcchunk_heaps *heaps,
		 struct holders *holders, struct heapwalk *out);

#endif
