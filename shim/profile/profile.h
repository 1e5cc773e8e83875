/*
 * Room profile: the record as pprof reads it, and the account with its stacks named. The server's
 * thread; no lock.
 *
 * Writes a profile as profile.proto, one message at a time through zlib into a
 * sink, or as text in the style of Go's debug=1.
 */
#ifndef CGOHEAP_PROFILE_H
#define CGOHEAP_PROFILE_H

#include "base/base.h"
#include "region/region.h"
#include "text/sink.h"
#include "record/stacks.h"

/* A heap profile as Go's runtime/pprof wrote it (bridge_read_heap); bytes NULL: none. */
struct go_heap {
	const uint8_t *bytes;
	size_t count;
};

struct profile_ages;

enum profile_format { PROFILE_GZIP, PROFILE_TEXT };

/* What a profile of the stacks shows; handlers_profile.c has a table of them. */
enum profile_view {
	PROFILE_LIVE,   /* what is in use now, and what was allocated */
	PROFILE_PEAK,   /* what was in use when most was */
	PROFILE_FREES,  /* the stacks that free */
	PROFILE_PINNED, /* what keeps retained memory from going back */
	PROFILE_VIEWS
};

struct profile_options {
	enum profile_view view;
	enum profile_format format;
	bool symbols;                /* false: addresses, mappings and build IDs only */
	bool all_frames;             /* true: cgo's plumbing frames too */
	bool is_growth;              /* a difference between two snapshots */
	uint64_t duration_ns;        /* of a growth profile */
	uint64_t min_age_ns;         /* for the comment */
	uint64_t most_text_bytes;    /* PROFILE_TEXT: leaves out the smallest stacks to stay below
				      * it; 0: all */
	const char *const *comments; /* NULL-terminated; what was dropped, truncated ... */
	const struct profile_ages *ages; /* of the tallies; NULL: they have none */
	struct go_heap go;               /* PROFILE_GZIP: Go's samples beside ours */
	struct go_heap go_before;        /* with is_growth: to be subtracted from go */
};

/*
 * Writes the whole profile. Returns 0, or -1 if the sink failed or scratch ran out before
 * anything was written. If scratch runs out later, the profile says so in a comment. Runs on the
 * server's thread; allocates from scratch only.
 */
int profile_write(struct scratch *scratch, const struct snapshot *snapshot,
		  const struct profile_options *options, struct sink *sink);

#endif
