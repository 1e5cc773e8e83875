/*
 * What the Go runtime says of its memory: by the Go package, where the program
 * has it (bridge.h); else by its own variables, where the binary has symbols,
 * with no help of the program's.  No call into Go, nothing stopped.
 *
 * runtime.gcController has the heap's figures (same offsets in Go 1.21 to 1.27);
 * runtime.allgs leads to every goroutine's stack.  Both are read while the
 * program runs on, so what is read is checked against the ranges the runtime
 * has mapped, and what does not fit is not believed.
 */
#ifndef CGOHEAP_GOSTATS_H
#define CGOHEAP_GOSTATS_H

#include "base/pagemap.h"
#include "region/region.h"
#include "proc/rangeset.h"
#include "go/bridge.h"

struct go_stats {
	/* From the Go package where the program has it (bridge.h); else from
	 * runtime.gcController where the binary has symbols and the figures are plausible;
	 * else UNKNOWN. */
	uint64_t heap_in_use_bytes, heap_free_bytes, heap_released_bytes;
	uint64_t stacks_bytes; /* what of the arenas is neither: stacks and the runtime's manual
				  spans */
	uint64_t mapped_ready_bytes, total_alloc_bytes;
	/* From the Go package alone; the runtime's own counts, all of them. */
	uint64_t metadata_bytes; /* what the runtime has mapped that is no arena */
	uint64_t memory_limit;   /* GOMEMLIMIT as it is now; UNKNOWN too where there is none */
	uint64_t runtime[CGOHEAP_GO_FIGURES]; /* by enum cgoheap_bridge_figure */
	const char *source;                   /* "runtime/metrics", "runtime.gcController", "" */
	bool has_package;                     /* it is there, whether or not it answered in time */
};

/*
 * heap_usable_bytes: of the runtime's arenas, without reservations.  All UNKNOWN
 * and source "" where there is no package that answers in time, and the binary is
 * stripped, of another release, or the figures contradict each other.  Server's thread.
 */
void gostats_read(struct scratch *scratch, uint64_t heap_usable_bytes, struct go_stats *out);

/* The runtime's list of all goroutines: so many pointers to a g from *list on.  False: not known.
 */
bool gostats_allgs(struct scratch *scratch, uint64_t *list, uint64_t *count);

/*
 * Resident bytes of the stacks of all goroutines, dead ones' that are kept for
 * reuse included; only what lies in a claim of heap (ascending).  UNKNOWN as above.
 */
uint64_t gostats_stacks_resident(struct scratch *scratch, const struct rangeset *heap);

/* Go runtimes in this process: the program's, and those of libraries.  Of several the variables
 * are not read: each knows its part. */
uint32_t gostats_runtimes(void);

#endif
