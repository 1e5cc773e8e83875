/*
 * The allocator that answers malloc: its statistics, and giving its free pages
 * back to the kernel.
 *
 * Both call into it, on the worker (worker.h), for they take its locks: glibc's
 * one arena at a time, while the arena's free lists are walked.  So that a
 * process with millions of free chunks does not pay for being looked at,
 * statistics that took T of processor time are not asked for again within 100 T;
 * the last ones answer until then.
 */
#ifndef CGOHEAP_ALLOCATOR_H
#define CGOHEAP_ALLOCATOR_H

#include "base/base.h"
#include "base/pagemap.h"

/* The allocator behind malloc, by its own statistics; UNKNOWN where it does not say. */
struct allocator_stats {
	const char *name;      /* "glibc", "jemalloc", "tcmalloc", "mimalloc", ... */
	uint64_t in_use_bytes; /* blocks handed out, with the allocator's own rounding */
	uint64_t free_bytes;   /* free inside it */
	uint64_t mapped_bytes; /* big blocks with a mapping of their own (glibc hblkhd); in
				  in_use_bytes too */
	uint64_t system_bytes; /* all it has from the system */
	uint64_t cached_bytes; /* of free_bytes: kept for blocks of the same size (fast bins) */
	uint64_t arenas;
	uint64_t nanoseconds; /* the statistics call took: that long its locks were held, one arena
				 at a time */
};

enum allocator_result {
	ALLOCATOR_OK,
	ALLOCATOR_OLD,        /* the last figures: asking again so soon would cost too much */
	ALLOCATOR_UNANSWERED, /* not in time: somebody holds its locks */
	ALLOCATOR_SILENT      /* it has no statistics that we know of */
};

/* Server thread. */
enum allocator_result allocator_read(struct allocator_stats *out);

/* Begins giving back, which takes as long as it takes.  -1: it cannot be called now. */
int allocator_trim(void);
/*
 * How that has ended: OK with *what was called ("malloc_trim"), or SILENT: it has no call for
 * that which we know.  UNANSWERED: it has not.
 */
enum allocator_result allocator_trimmed(const char **what);

/*
 * "glibc", "jemalloc", "tcmalloc", "mimalloc", or the file name of who answers malloc; "" unknown.
 * Read once, then kept.
 */
const char *allocator_name(void);

bool allocator_is_glibc(void);

#endif
