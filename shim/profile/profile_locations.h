/*
 * A binary profile being written: what its samples' stacks are made of.  Private
 * to profile*.c.
 *
 * In order: profile_locations_open, profile_job_prepare on its job, the profile's
 * own header, labels and comments, profile_locations_write, then samples, whose
 * stacks these functions number, and pprof_close.
 */
#ifndef CGOHEAP_PROFILE_LOCATIONS_H
#define CGOHEAP_PROFILE_LOCATIONS_H

#include "profile/pprof_stream.h"
#include "profile/profile_job.h"

struct profile_mapping;
struct profile_locations {
	struct profile_job job;
	struct pprof_stream stream;
	struct profile_mapping *mappings;        /* by place in job.modules */
	uint64_t synthetic_ids[SYNTHETIC_COUNT]; /* of locations; 0: not written yet */
	uint64_t next_location_id;
};

/* In scratch; NULL: not enough of it for any profile at all, and nothing is written. */
struct profile_locations *profile_locations_open(struct scratch *scratch, struct sink *sink);

/* The job's mappings, functions and locations. */
void profile_locations_write(struct profile_locations *places);

/* The ids of a stack's locations, leaf first; how many. */
size_t profile_locations_stack(struct profile_locations *places, const struct stack *stack,
			       uint64_t ids[PROFILE_MAX_FRAMES]);

/* The id of the mapping that has the address of a call in it; 0: none that was written. */
uint64_t profile_locations_mapping(const struct profile_locations *places, uint64_t address);

/* The id of a new location in no mapping, which stands for no code; there is room for so many.
 * name stays until the end. */
#define PROFILE_PLACES_NAMED 32
uint64_t profile_locations_named(struct profile_locations *places, const char *name);

#endif
