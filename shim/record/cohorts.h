/*
 * How old what is in use is: per stack, what was allocated in each past interval (a cohort), and
 * what of that still lives.
 *
 * Hooks do nothing for it. The server's thread makes a mark every 5 s while sampling: a moment,
 * and what had been allocated at each stack by then, in a row of a table in the region. What was
 * allocated between two marks is the difference. What of that lives is counted when asked, from
 * the records of live blocks and mappings, which have the tick of their allocation.
 *
 * Marks are thinned as they age: the last minute is kept at 5 s, the last 10 minutes
 * at 1 minute, the last hour at 5 minutes, and what is older in intervals about as long as they are
 * old.
 *
 * A stack has a row from the first mark after it was made, so that its history is complete. When
 * the table is full, those with the least in use lose their rows to those with more than twice as
 * much, a few at each mark; a stack that gets a row later, or has none, is known only since then,
 * or not. What is in use there and older has no cohort.
 *
 * The server's thread only. A child of fork that keeps profiling goes on with the table.
 */
#ifndef CGOHEAP_COHORTS_H
#define CGOHEAP_COHORTS_H

#include "base/base.h"
#include "region/region.h"
#include "record/stacks.h"

/* Enough for 60 days; later the oldest interval grows. */
#define COHORTS_MARKS 52

/* What a stack costs: its row, and its cells of all marks. */
#define COHORTS_ROW_BYTES (16 + COHORTS_MARKS * 16)

/* Called from the server's loop. Makes a mark if it is time. Returns the nanoseconds until the
 * next; UINT64_MAX: none needed, since sampling is off. */
uint64_t cohorts_tick(void);

/* What was allocated between two ages; from_ns is the younger one. */
struct cohort {
	uint64_t from_ns, to_ns;
	uint64_t off_ns; /* for how long of that sampling was off: no allocation is known then */
};

struct cohorts {
	/* A tally for each stack and cohort with figures: alloc is what was allocated in it,
	 * inuse what of that is in use. inuse is never more, and its sum for a stack is what
	 * stacks_snapshot says. tally.age is the cohort; 0: older than what is known, with nothing
	 * as alloc. */
	struct snapshot snapshot;
	uint32_t count;
	struct cohort list[COHORTS_MARKS + 1]; /* youngest first; tally.age - 1 */
};

/* Reads the table, and all that is in use, as a view by age does (stacks_snapshot). 0, or -1 if
 * scratch is exhausted. */
int cohorts_read(struct scratch *scratch, struct cohorts *out);

struct cohorts_counters {
	uint32_t marks, rows, room; /* now; room: the most rows */
	uint32_t without;           /* stacks that had no row at the last mark */
	uint64_t evicted;           /* rows that were given to other stacks, ever */
};
struct cohorts_counters cohorts_counters(void);

#endif
