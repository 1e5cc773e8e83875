/*
 * State of one account while it is taken. Private to account*.c.
 *
 *   account_ranges.c  the claims on addresses
 *   account_pass.c    the pass over smaps: every mapping's pages to their owners
 *   account_live.c    what the sampled blocks say
 *   account_arenas.c  Go's heap where no hook saw it mapped
 *   account_stacks.c  thread stacks, by what libc leaves in them
 *   account_musl.c    what musl's malloc has mapped
 *   account_kept.c    what the C allocator keeps, and why
 *   account.c         the order of steps, and the allocator's and Go's shares
 */
#ifndef CGOHEAP_ACCOUNT_JOB_H
#define CGOHEAP_ACCOUNT_JOB_H

#include "proc/modules.h"
#include "proc/rangeset.h"
#include "proc/smaps.h"
#include "account/account.h"
#include "account/account_live.h"
#include "account/allocator.h"
#include "account/glibcheap.h"

/*
 * A claim's `what` is an enum account_owner. The allocator's pools (arenas, extents) are
 * OWNER_C_RETAINED and its big blocks OWNER_C_LIVE until the end, when the part of the pools in
 * use moves from one to the other.
 */

struct account_job {
	struct scratch *scratch;
	struct account *out;
	struct account_parts *parts;
	size_t part_room, file_room;
	/* In [heap]: bytes that no hook saw taken, those of them that are resident, and bytes
	 * that a hook saw taken. */
	uint64_t heap_bytes, heap_resident, heap_others;
	uint64_t heap_start, heap_end;
	struct modules modules;
	struct rangeset anonymous; /* private anonymous mappings that can be written to */
	struct rangeset own;       /* the shim's, as of now */
	struct rangeset mappings;  /* memory, by owner */
	struct rangeset files;     /* files that C code has mapped, from the table of mappings */
	struct rangeset cached;    /* stacks whose thread has ended, unless reused */
	struct rangeset data;      /* .bss of modules */
	struct rangeset stacks;    /* of threads whose creation no hook saw */
	struct rangeset early;
	struct rangeset
		go_heap; /* Go's arenas, from the table of mappings or the runtime's own list */
	uint64_t go_heap_usable;
	struct glibcheap glibc;
	struct rangeset musl; /* what its malloc has mapped */
	struct account_live live;
	enum allocator_result allocator_result;
	size_t warning_count;
	bool incomplete; /* scratch ran out */
};

/* 0, or -1: /proc unreadable or scratch exhausted. */
int account_ranges_collect(struct account_job *job);
/* Like rangeset_cut over all claims on anonymous memory, with the shim's memory as it is now. */
void account_ranges_cut(struct account_job *job, uint64_t start, uint64_t end,
			rangeset_visit *visit, void *arg);
/* Whether claims divide this mapping; otherwise account_ranges_owner gives its owner. */
bool account_ranges_divide(const struct smaps_mapping *m);
/* The owner of a mapping as a whole, or of its unclaimed part. */
enum account_owner account_ranges_owner(const struct account_job *job,
					const struct smaps_mapping *m);

/* The owner of the written pages of a private file mapping. */
enum account_owner account_ranges_copies_owner(const struct smaps_mapping *m);
/* For a mapping that is not divided: the site that mapped its start; 0: not known. */
uint32_t account_ranges_site(const struct account_job *job, const struct smaps_mapping *m);

/* The variables of the module whose text contains address. */
bool account_ranges_data(const struct account_job *job, uint64_t address, uint64_t *start,
			 uint64_t *end);

/* Puts Go's arenas into go_heap if the table of mappings has none. Returns 0, or -1 as above. */
int account_arenas_find(struct account_job *job);

/* Whether this range ends like a thread's stack. */
bool account_stacks_is_one(uint64_t start, uint64_t end);
/* Claims unclaimed stacks. Returns 0, or -1 as above. */
int account_stacks_find(struct account_job *job);

/* The same for what musl's malloc has mapped. */
int account_musl_find(struct account_job *job);

/* 0, or -1 as above. */
int account_pass(struct account_job *job);

/* Call last: splits what C retained into its kinds. */
void account_kept_read(struct account_job *job);

#endif
