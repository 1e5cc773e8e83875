/*
 * Who frees, as a profile: view=frees. A sample is a site's freeing stack, with what that freed,
 * and what is in use at the site and waits for it: the site's in use by the stacks' shares of its
 * frees. Private to profile*.c and the handlers; the server's thread.
 */
#ifndef CGOHEAP_PROFILE_FREES_H
#define CGOHEAP_PROFILE_FREES_H

#include "profile/profile_job.h"

/*
 * The samples, as tallies whose stack is the freeing one (0: others of that kind), whose alloc
 * figures are what waits, and whose inuse figures are what was freed. -1: scratch exhausted.
 */
int profile_frees_snapshot(struct scratch *scratch, struct snapshot *out);

/*
 * Where a site's blocks are allocated, in a word: its Go caller, else the C function that calls the
 * allocator. NULL: no names. Valid as long as the job.
 */
const char *profile_frees_allocated_by(const struct profile_job *job, uint32_t site);

/* Stands for the stacks of a kind that have no sample each. */
#define PROFILE_FREES_OTHERS "[other freeing stacks]"

#define PROFILE_FREES_COMMENT                                                                      \
	"estimates: a site's first frees are captured, then one of many for all; waiting: by "     \
	"shares"

#endif
