/*
 * The allocator behind malloc: reads its statistics and asks it to return its free pages to the
 * kernel.
 *
 * Both calls run on the worker (worker.h), because they take the allocator's locks: glibc's, one
 * arena at a time, while the arena's free lists are walked. To limit the cost to a process with
 * millions of free chunks, statistics that took T of processor time are not requested again
 * within 100 T; until then the last ones are returned. musl has no such calls: its structures are
 * read by the caller (mallocng.h), under the same limit.
 */
#ifndef CGOHEAP_ALLOCATOR_H
#define CGOHEAP_ALLOCATOR_H

#include "base/base.h"
#include "base/pagemap.h"
#include "account/jemallocbins.h"

/* The statistics of the allocator behind malloc; UNKNOWN if it does not report a figure. */
struct allocator_stats {
	const char *name;      /* "glibc", "musl mallocng", "jemalloc", "tcmalloc", ... */
	uint64_t in_use_bytes; /* blocks handed out, with the allocator's rounding */
	uint64_t free_bytes;   /* free inside it */
	uint64_t mapped_bytes; /* big blocks with their own mapping (glibc hblkhd); included in
				* in_use_bytes */
	uint64_t system_bytes; /* all memory it has from the system */
	uint64_t cached_bytes; /* part of free_bytes: kept for blocks of the same size (fast
				* bins) */
	uint64_t arenas;
	uint64_t nanoseconds; /* duration of the statistics call, during which its locks were
			       * held, one arena at a time */
};

enum allocator_result {
	ALLOCATOR_OK,
	ALLOCATOR_OLD,        /* the last figures: a new request this soon would cost too much */
	ALLOCATOR_UNANSWERED, /* not in time: a thread holds its locks */
	ALLOCATOR_SILENT      /* it has no statistics that we support */
};

/* Server thread. */
enum allocator_result allocator_read(struct allocator_stats *out);

/* Of jemalloc, as of the last allocator_read; NULL: not known now, or another allocator. */
const struct jemallocbins *allocator_bins(void);
/* Asks jemalloc about these blocks. The query is the worker's until it returns, if it is not
 * answered in time. 0, or -1: not answered, or this jemalloc has no such query. */
int allocator_ask_slabs(struct jemallocbins_query *query);

/* Starts returning free pages, which has no time limit. -1: it cannot be called now. */
int allocator_trim(void);
/*
 * The result of the trim: OK with *what set to the function called ("malloc_trim"); SILENT: it
 * has no such function that we support; UNANSWERED: still running.
 */
enum allocator_result allocator_trimmed(const char **what);

/*
 * "glibc", "musl mallocng", "musl" (another malloc of musl's, or one that cannot be read here),
 * "jemalloc", "tcmalloc", "mimalloc", or the file name of the module that provides malloc; ""
 * unknown. Kept once it is certain.
 */
const char *allocator_name(void);

bool allocator_is_glibc(void);
/* Whichever of musl's. */
bool allocator_is_musl(void);

#endif
