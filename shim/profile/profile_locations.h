/*
 * A binary profile being written: the mappings, functions and locations of its samples' stacks.
 * Private to profile*.c.
 *
 * Order: profile_locations_open; profile_job_prepare on its job; the profile's header, labels
 * and comments; profile_locations_write; then samples, whose location ids come from these
 * functions; and profile_locations_close.
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
	uint64_t synthetic_ids[SYNTHETIC_COUNT]; /* location ids; 0: not written yet */
	uint64_t others_id;                      /* of PROFILE_FREES_OTHERS; 0: not written yet */
	uint64_t next_location_id;
	/* The stack asked for last: a stack's samples, one for each size, are neighbours. */
	struct {
		const struct stack *stack;
		size_t count;
		uint64_t ids[PROFILE_MAX_FRAMES];
	} last;
};

/* In scratch. NULL: not enough for any profile at all; nothing is written. */
struct profile_locations *profile_locations_open(struct scratch *scratch, struct sink *sink);

/* Ends the profile and its job. 0, or -1 if any write failed. */
int profile_locations_close(struct profile_locations *places);

/* Writes the job's mappings, functions and locations. */
void profile_locations_write(struct profile_locations *places);

/* Writes a stack's location ids, leaf first, and returns their number. */
size_t profile_locations_stack(struct profile_locations *places, const struct stack *stack,
			       uint64_t ids[PROFILE_MAX_FRAMES]);

/* The id of the mapping that contains the address of a call; 0: none was written for it. */
uint64_t profile_locations_mapping(const struct profile_locations *places, uint64_t address);

/* The id of a new location without a mapping, which is not code. There is room for
 * PROFILE_PLACES_NAMED of them. name must stay valid until the end. */
#define PROFILE_PLACES_NAMED 32
uint64_t profile_locations_named(struct profile_locations *places, const char *name);

#endif
