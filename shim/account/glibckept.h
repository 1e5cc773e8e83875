/*
 * How much of glibc malloc's free memory malloc_trim returns, and how much it does not.
 *
 * malloc_trim(0) returns the whole pages inside the free chunks of all bins, and the end ("top")
 * of the main arena. It never returns the ends of the other arenas: only free does, and only
 * above M_TRIM_THRESHOLD, which glibc raises to twice the largest block with its own mapping
 * that was freed, up to 64 MiB (malloc/malloc.c: mtrim, heap_trim, __libc_free).
 *
 * No lock of glibc's is taken: its structures are copied while the program runs. Inconsistent
 * data is rejected, and the figures are then unknown. The layout is found, not assumed: an
 * arena's top is the word of its state that points at a chunk which ends where the arena's
 * newest heap ends; its bins follow.
 */
#ifndef CGOHEAP_GLIBCKEPT_H
#define CGOHEAP_GLIBCKEPT_H

#include "base/base.h"
#include "proc/rangeset.h"

struct glibckept {
	/* Resident bytes; UNKNOWN. */
	uint64_t returnable;
	uint64_t arena_ends;
	uint64_t end_count; /* number of arenas with such ends */
};

struct glibckept_places {
	const struct rangeset *heaps; /* of the other arenas: one claim each, ascending; claims
				       * with another `what` are skipped */
	uint8_t what;
	uint64_t brk_start, brk_end;   /* [heap]; both equal: there is none */
	uint64_t data_start, data_end; /* libc's own variables, which contain the main arena */
};

/* Server thread. Takes at most about 200 ms in any program. */
void glibckept_read(const struct glibckept_places *places, struct glibckept *out);

#endif
