/*
 * How far a profile's figures may be off because blocks were sampled, and the comments that say so:
 * docs/profile-format.md. Private to profile*.c.
 *
 * A sampled block of S bytes stands for S/p, p = 1 - e^(-S/T), and adds S^2 (1-p) / p^2 to the
 * variance; (1-p) / p^2 to that of the objects. If T was the same all the time, this follows from
 * the values of a sample. Otherwise, and for a sample of several sizes, the live blocks tell, each
 * of which keeps its interval; and of all that was ever allocated the sum is known (variance.h), so
 * that freed blocks count with the interval that gives the rest.
 */
#ifndef CGOHEAP_PROFILE_ERROR_H
#define CGOHEAP_PROFILE_ERROR_H

#include "record/stacks.h"

struct profile_options;

struct profile_error {
	struct snapshot snapshot; /* the samples in the order that the comments mean */
	const char *comments[4];  /* NULL-terminated */
};

/*
 * Reads the live blocks if they are needed. Nothing is said of PROFILE_PINNED, which is no sum of
 * samples. The result is valid as long as the snapshot. Without scratch, the errors are those of
 * the coarsest interval: too large rather than too small.
 */
void profile_error_read(struct profile_error *error, struct scratch *scratch,
			const struct snapshot *snapshot, const struct profile_options *options);

#endif
