/*
 * Reads musl's malloc (mallocng, since 1.2.1) by the structures that it keeps.
 *
 * It hands out slots of groups. A group has its own mapping, or is a slot of a larger group; a
 * block of 128 KiB or more is a group of its own. What describes groups lies apart from them, in
 * pages that begin with a random number and form a list; malloc's context, among libc's variables,
 * begins with the same number and has the list's head. So the context is found without symbols,
 * and what is found is certain: no other variable is equal to what its neighbour points at.
 *
 * Facts by source: src/malloc/mallocng/meta.h, malloc.c, glue.h, 1.2.1 to 1.2.5. No lock of musl's
 * is taken: each page is copied while the program runs, so a figure may be off by the blocks of
 * that moment.
 */
#ifndef CGOHEAP_MALLOCNG_H
#define CGOHEAP_MALLOCNG_H

#include "proc/modules.h"
#include "proc/rangeset.h"

/* In bytes. */
struct mallocng {
	uint64_t in_use; /* slots handed out, and big blocks */
	uint64_t free;   /* other slots */
	uint64_t big;    /* blocks of their own mapping, in whole pages; in in_use */
	uint64_t system; /* all mappings */
	uint64_t groups;
};

/*
 * Looks for the context in libc, unless it is known; false: it is not there (another malloc, or
 * malloc was never called) or memory cannot be read here.
 */
bool mallocng_find(const struct modules *modules);
/* The same among the variables in [start, end). */
bool mallocng_is_in(uint64_t start, uint64_t end);

enum mallocng_what {
	MALLOCNG_GROUPS = 1, /* slots, or what describes groups */
	MALLOCNG_BIG
};

/*
 * Reads all groups. ranges: takes the mappings, as enum mallocng_what, unless it is NULL. 0, or -1:
 * not found, unreadable, cut off by the thread's budget (work.h), or out of scratch.
 */
int mallocng_read(struct mallocng *out, struct scratch *scratch, struct rangeset *ranges);

#endif
