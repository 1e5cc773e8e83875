/*
 * The Go runtime's memory figures: from the Go package if the program has it (bridge.h),
 * else from the runtime's variables if the binary has symbols, without the program's
 * help.  No call into Go; nothing is stopped.
 *
 * runtime.gcController has the heap's figures (same offsets in Go 1.21 to 1.27);
 * runtime.allgs leads to every goroutine's stack.  Both are read while the program runs,
 * so values are checked against the ranges the runtime has mapped, and implausible ones
 * are discarded.  gogc.h has the collector's.
 */
#ifndef CGOHEAP_GOSTATS_H
#define CGOHEAP_GOSTATS_H

#include "base/pagemap.h"
#include "region/region.h"
#include "proc/rangeset.h"
#include "go/bridge.h"
#include "go/gogc.h"

struct go_stats {
	/* From the Go package, else from runtime.gcController if the binary has symbols and
	 * the figures are plausible; else UNKNOWN. */
	uint64_t heap_in_use_bytes, heap_free_bytes, heap_released_bytes;
	uint64_t stacks_bytes; /* the rest of the arenas: stacks and the runtime's manual spans */
	uint64_t mapped_ready_bytes, total_alloc_bytes;
	/* Only from the Go package; the runtime's own counts. */
	uint64_t metadata_bytes;              /* mapped by the runtime outside the arenas */
	uint64_t runtime[CGOHEAP_GO_FIGURES]; /* by enum cgoheap_bridge_figure */
	struct gogc gc;
	const char *source; /* "runtime/metrics", "runtime.gcController", "" */
	bool has_package;   /* attached, even if it did not answer in time */
};

/* Objects are live, as the last collection found, or else dead or newer than that; UNKNOWN. */
static inline uint64_t gostats_heap_live(const struct go_stats *g)
{
	uint64_t live = g->runtime[CGOHEAP_GO_HEAP_LIVE];
	uint64_t objects = g->runtime[CGOHEAP_GO_HEAP_OBJECTS];
	/* More: swept since. */
	return live != UNKNOWN && objects != UNKNOWN && live > objects ? objects : live;
}
static inline uint64_t gostats_heap_dead(const struct go_stats *g)
{
	uint64_t live = gostats_heap_live(g);
	uint64_t objects = g->runtime[CGOHEAP_GO_HEAP_OBJECTS];
	return live != UNKNOWN && objects != UNKNOWN ? objects - live : UNKNOWN;
}

/*
 * heap_usable_bytes: size of the runtime's arenas without reservations.  All UNKNOWN and
 * source "" if no package answers in time and the binary is stripped, is of another
 * release, or has contradictory figures.  Server's thread.
 */
void gostats_read(struct scratch *scratch, uint64_t heap_usable_bytes, struct go_stats *out);

/* The runtime's list of all goroutines: *count pointers to g from *list on.  -1: unknown. */
int gostats_allgs(struct scratch *scratch, uint64_t *list, uint64_t *count);

/*
 * Resident bytes of all goroutines' stacks, including dead ones kept for reuse.  Counts
 * only what is in a claim of heap (ascending).  UNKNOWN as above.
 */
uint64_t gostats_stacks_resident(struct scratch *scratch, const struct rangeset *heap);

#endif
