/*
 * What of glibc malloc's free memory malloc_trim returns, and what it does not.
 *
 * malloc_trim(0) gives back the whole pages inside the free chunks of all bins, and
 * the end ("top") of the main arena.  It never gives back the ends of the other
 * arenas: free alone does, and only beyond M_TRIM_THRESHOLD, which glibc raises to
 * twice the largest block with a mapping of its own that was freed, up to 64 MiB
 * (malloc/malloc.c: mtrim, heap_trim, __libc_free).
 *
 * No lock of glibc's is taken: its structures are copied while the program goes on.
 * Nothing is believed that is not consistent, and nothing is said where it is not.
 * The layout is not assumed but found: an arena's top is the word of its state that
 * points at a chunk which ends where the arena's newest heap ends; its bins follow.
 */
#ifndef CGOHEAP_GLIBCKEPT_H
#define CGOHEAP_GLIBCKEPT_H

#include "base/base.h"
#include "proc/rangeset.h"

struct glibckept {
	/* Resident bytes; UNKNOWN. */
	uint64_t returnable;
	uint64_t arena_ends;
	uint64_t end_count; /* arenas that those ends are of */
};

struct glibckept_places {
	const struct rangeset *heaps; /* of the other arenas: a claim each, ascending; claims whose
				       `what` is another are passed over */
	uint8_t what;
	uint64_t brk_start, brk_end;   /* [heap]; equal: there is none */
	uint64_t data_start, data_end; /* libc's own variables: the main arena is one */
};

/* Server thread.  At most some 200 ms, whatever the program has. */
void glibckept_read(const struct glibckept_places *places, struct glibckept *out);

#endif
