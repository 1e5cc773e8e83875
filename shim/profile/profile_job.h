/*
 * State that the writers of one profile share: the samples in it, their addresses, and what is
 * known of those addresses. Private to profile*.c.
 */
#ifndef CGOHEAP_PROFILE_JOB_H
#define CGOHEAP_PROFILE_JOB_H

#include "base/hash.h"
#include "proc/modules.h"
#include "record/frees.h"
#include "profile/profile.h"
#include "profile/profile_error.h"
#include "profile/symbolize.h"

/*
 * Finds places in an array by hash: open addressing over a table that is at most half full. The
 * caller compares; the index only probes.
 */
struct index {
	uint32_t *slots; /* place + 1; 0 = free */
	uint32_t mask;
};

/* Makes room for capacity places; -1: out of scratch. */
int index_init(struct scratch *scratch, struct index *index, uint32_t capacity);
/* The first slot to probe, and the one after slot. */
static inline uint32_t index_first(const struct index *index, uint64_t hash)
{
	return (uint32_t)(hash_spread(hash) >> 32) & index->mask;
}
static inline uint32_t index_next(const struct index *index, uint32_t slot)
{
	return (slot + 1) & index->mask;
}

/* One distinct address. */
struct pc_place {
	uint64_t pc;
	const struct location *location; /* NULL: not symbolized */
	uint32_t unloaded;               /* its latest unloading; Go's code has none */
	bool is_shown;                   /* in the requested view: all frames, or all but cgo's
					  * plumbing and each goroutine's root, which Go's own
					  * profiles leave out too */
};

/* Each distinct address once; its place + 1 is the id of its location. */
struct pc_set {
	struct index index;
	struct pc_place *list;
	uint32_t count, capacity;
};

struct profile_job {
	struct scratch *scratch;
	const struct snapshot *snapshot;
	const struct profile_error *error; /* what the comments say of it; NULL: nothing */
	const struct profile_options *options;
	struct modules modules;
	struct pc_set pcs;
	struct symbols symbols;
};

/* Reads modules and symbols. What does not fit is missing, and scratch->exhausted is set. */
void profile_job_prepare(struct profile_job *job, struct scratch *scratch,
			 const struct snapshot *snapshot, const struct profile_options *options);
/* Locations have no names after it. Call it for each job that was prepared. */
void profile_job_end(struct profile_job *job);

/* Sums the tallies from index `from` on. */
struct tally profile_sum(const struct snapshot *snapshot, size_t from);

/* Stands for samples left out because time ran out. */
#define PROFILE_REST "[stacks not shown: out of time]"

/* Frames without an address, which say what the stack lacks. */
enum synthetic {
	SYNTHETIC_NONE,
	SYNTHETIC_OMITTED,   /* a gap: the stack was deeper than we record */
	SYNTHETIC_LOST,      /* a gap: code that could not be unwound, or no memory for names */
	SYNTHETIC_UNLOADED,  /* code that was unloaded; other code is there now */
	SYNTHETIC_TRUNCATED, /* + enum capture_end: the stack is unknown above this */
	SYNTHETIC_COUNT = SYNTHETIC_TRUNCATED + CAPTURE_END_COUNT
};
/* "[frames omitted]", "[frames not known]", "[unloaded library]", "[truncated: no_cfi]";
 * written into buffer. */
#define SYNTHETIC_NAME_BYTES 64
void synthetic_name(uint32_t synthetic, char buffer[SYNTHETIC_NAME_BYTES]);

struct profile_frame {
	uint32_t synthetic; /* SYNTHETIC_NONE: the fields below are set */
	uint32_t place;     /* in job->pcs */
	uint64_t pc;
	const struct location *location; /* NULL: pc is unknown */
};

/* Every frame, one gap, one end. */
#define PROFILE_MAX_FRAMES (CAPTURE_MAX_FRAMES + 2)

/* The stack of a sample: the site's, or the one that frees its blocks. */
const struct stack *profile_stack(const struct profile_job *job, const struct tally *tally);
/* Who frees the sample's blocks, as its label says; FREED_BY_UNKNOWN: none. */
enum freed_by profile_freed_by(const struct profile_job *job, const struct tally *tally);

/* The frames of a stack to show, leaf first, without plumbing unless requested. */
size_t profile_frames(const struct profile_job *job, const struct stack *stack,
		      struct profile_frame frames[PROFILE_MAX_FRAMES]);

/* Written last if scratch->exhausted. */
#define PROFILE_PARTIAL_COMMENT                                                                    \
	"incomplete: the memory for writing profiles ran out; raise CGOHEAP_MAX_MEMORY"

/* The caller's comments and those from the options; NULL-terminated, never NULL. */
const char *const *profile_comments(const struct profile_job *job);

int profile_write_proto(struct scratch *scratch, const struct snapshot *snapshot,
			const struct profile_options *options, struct sink *sink);
int profile_write_text(struct scratch *scratch, const struct snapshot *snapshot,
		       const struct profile_options *options, struct sink *sink);

#endif
