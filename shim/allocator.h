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

#include "account.h"

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

bool allocator_is_glibc(void);

#endif
