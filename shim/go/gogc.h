/*
 * What the Go runtime says of its collector: when it ran last, at which heap the next
 * collection comes, and whether what it queued has been run.
 *
 * From the Go package where it has told (bridge.h), and from the runtime's variables where the
 * binary has symbols (govars.h).  The variables are read while the program runs: each group is
 * read at once and must agree with itself, or it is not known.  No call into Go; nothing is
 * stopped.
 */
#ifndef CGOHEAP_GOGC_H
#define CGOHEAP_GOGC_H

#include "base/base.h"
#include "region/region.h"

#define GOGC_OFF INT64_MAX /* of percent: GOGC=off */

/* UNKNOWN where not known. */
struct gogc {
	uint64_t cycles;        /* that have ended since the start */
	uint64_t ended_unix_ns; /* when the last one did; 0: there was none */
	/*
	 * What is older than this (CLOCK_MONOTONIC) was there when the last collection began, so
	 * Go still referred to it then, or has queued its finalizer since.  When it began if that
	 * is known, else when the one before it ended.
	 */
	uint64_t began_ns;
	uint64_t ended_ns;   /* the same on CLOCK_MONOTONIC: what is newer, it did not see */
	uint64_t goal_bytes; /* UNKNOWN also without one: GOGC=off and no memory limit */
	uint64_t heap_bytes; /* now, as the goal counts */
	uint64_t live_bytes; /* what the last collection found */
	uint64_t percent;    /* GOGC; GOGC_OFF */
	uint64_t memory_limit;
	/* Queued by a collection and not run yet. */
	uint64_t finalizers_waiting, cleanups_waiting;
	uint64_t is_finalizing; /* 1: a finalizer, or before Go 1.25 a cleanup, runs now; else 0 */
};

/* package: the figures that the Go package has told, by enum cgoheap_bridge_figure, all UNKNOWN
 * without it.  Server's thread. */
void gogc_read(struct scratch *scratch, const uint64_t *package, struct gogc *out);

#endif
