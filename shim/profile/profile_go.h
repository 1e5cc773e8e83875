/*
 * Go's heap in profiles of ours: beside the C heap, sample by sample, and below
 * the root of the memory profile that is Go's.
 */
#ifndef CGOHEAP_PROFILE_GO_H
#define CGOHEAP_PROFILE_GO_H

#include "account/account.h"
#include "profile/profile_locations.h"

#define PROFILE_GO_DAMAGED_COMMENT "Go's heap profile could not be read: it is not in here"
#define PROFILE_GO_MISSED_COMMENT                                                                  \
	"Go's heap profile did not come in time: its heap has no stacks in here"

/* The words that its samples have: once, before the table of strings can be full. */
void profile_go_name_labels(struct pprof_stream *stream);

/*
 * Go's samples as Go scaled them, with the label origin=go; less those of
 * before, which may have no bytes.  Last of all that is written: see pprof_append.
 * What cannot be read is left out, of both, and a comment says so.
 */
void profile_go_write(struct profile_locations *places, const struct go_heap *now,
		      const struct go_heap *before);

/*
 * All of bytes (the account's go_heap) below root, in samples of one value: Go's live heap by
 * its stacks, and the rest by what Go says it is.  heap has no bytes: it did not come.
 * Last of all that is written.
 */
void profile_go_write_memory(struct profile_locations *places, uint64_t root,
			     const struct go_heap *heap, const struct go_stats *stats,
			     uint64_t bytes);

#endif
