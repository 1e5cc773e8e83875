/*
 * Go's heap in our profiles: beside the C heap, sample by sample, and below the root of Go's
 * part in the memory profile.
 */
#ifndef CGOHEAP_PROFILE_GO_H
#define CGOHEAP_PROFILE_GO_H

#include "account/account.h"
#include "profile/profile_locations.h"

#define PROFILE_GO_DAMAGED_COMMENT "Go's heap profile could not be read: it is not in here"
#define PROFILE_GO_MISSED_COMMENT                                                                  \
	"Go's heap profile did not come in time: its heap has no stacks in here"

/* Adds the strings that Go's samples use: once, before the string table can be full. */
void profile_go_name_labels(struct pprof_stream *stream);

/*
 * Writes Go's samples as Go scaled them, with the label origin=go, minus those of before, which
 * may be empty. Must be written last: see pprof_append. If one cannot be read, both are left
 * out, and a comment says so.
 */
void profile_go_write(struct profile_locations *places, const struct go_heap *now,
		      const struct go_heap *before);

/*
 * Writes all of bytes (the account's go_heap) below root, in samples of one value: Go's live
 * heap by its stacks, and the rest by Go's own figures. An empty heap means that Go's profile
 * did not arrive. Must be written last.
 */
void profile_go_write_memory(struct profile_locations *places, uint64_t root,
			     const struct go_heap *heap, const struct go_stats *stats,
			     uint64_t bytes);

#endif
