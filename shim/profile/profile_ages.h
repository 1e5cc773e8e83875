/*
 * The ages of a profile with labels=age, as text: each sample's label, and the comments that say
 * what the intervals are.
 */
#ifndef CGOHEAP_PROFILE_AGES_H
#define CGOHEAP_PROFILE_AGES_H

#include "record/cohorts.h"

#define PROFILE_AGE_OLDER "older"

struct profile_ages {
	const char *const *labels;   /* by tally.age: "5m-10m", two durations as Go writes them */
	size_t count;                /* of labels; the first one is not used */
	const char *const *comments; /* NULL-terminated */
};

/* All in scratch; -1: there is not enough. */
int profile_ages_make(struct scratch *scratch, const struct cohorts *cohorts,
		      struct profile_ages *out);

#endif
