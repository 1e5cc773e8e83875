/*
 * Room account: which code owns the resident memory. The server's thread, and the worker where
 * an allocator is asked; takes the lock of the table of mappings for a few ranges at a time.
 *
 * The owners of the RSS: every resident page has exactly one.
 *
 * One pass over /proc/self/smaps gives each mapping's resident bytes. A mapping has one owner,
 * or it is split by ranges of the table of mappings, recognised allocator heaps and module
 * ranges. For a split mapping, /proc/self/pagemap says which pages of each part are resident,
 * and parts are scaled to sum to what smaps said.
 *
 * Precedence for a page: the shim's own memory; the table of mappings; thread stacks; files and
 * the modules' .data and .bss; the C allocator's memory, recognised by its own structures (brk
 * heap, arena headers, chunk headers); stacks whose thread has ended, by the descriptor that
 * libc leaves in them; what was mapped when the shim started (the loader's). Unclaimed memory is
 * untracked_mmap.
 *
 * Nothing is stopped: the kernel's mmap_lock is taken for reading, one mapping at a time; the
 * lock of the table of mappings, for a few ranges at a time; and the allocator's own locks, an
 * arena at a time, as its statistics need (allocator.h; the time is in the account, and
 * bounded).
 */
#ifndef CGOHEAP_ACCOUNT_H
#define CGOHEAP_ACCOUNT_H

#include "base/base.h"
#include "base/pagemap.h"
#include "region/region.h"
#include "proc/procinfo.h"
#include "go/gostats.h"
#include "account/account_figures.h"
#include "account/allocator.h"
#include "account/pinned.h"
#include "account/debt.h"
#include "account/privatealloc.h"

/* OWNER_GO_HEAP and so on, in the order in which they are shown. */
enum account_owner {
#define OWNER(owner, name, go_name) OWNER_##owner,
	ACCOUNT_OWNERS(OWNER)
#undef OWNER
		OWNER_COUNT
};
/* Fixed interface. */
const char *account_owner_name(enum account_owner owner);

struct account_bytes {
	uint64_t resident;  /* the owner's share of RSS */
	uint64_t huge;      /* part of resident: in transparent huge pages (AnonHugePages) */
	uint64_t lazy_free; /* part of resident: marked MADV_FREE, resident until the kernel
			     * reclaims it (LazyFree) */
	uint64_t swapped;
	uint64_t mapped; /* usable address space, resident or not */
	bool known;      /* false: included in a neighbour that says so (go_stacks in go_heap), or
			  * unexplained */
	bool exact;      /* counted, not estimated */
};

/* Below this, neither reading what is kept nor who pins it is worthwhile. */
#define KEPT_WORTH_BYTES (8 * MIB)

/* What C retained is made of if the allocator is glibc; resident bytes, or UNKNOWN. */
struct kept_bytes {
	uint64_t returnable; /* malloc_trim returns it */
	uint64_t arena_ends; /* the ends of end_count arenas, which malloc_trim does not return */
	uint64_t end_count;
	uint64_t cached; /* fast bins; glibc counts blocks in threads' caches as in use */
	uint64_t pinned; /* free memory on pages with blocks in use, and the allocator's own */
};

#define ACCOUNT_WARNINGS 8
struct account {
	uint64_t time_ns; /* CLOCK_REALTIME */
	uint64_t took_ns;
	uint64_t rss_bytes; /* sum of smaps: owners + unexplained */
	uint64_t unexplained_bytes;
	struct account_bytes owners[OWNER_COUNT];
	struct allocator_stats allocator;
	struct kept_bytes kept;
	struct privatealloc private_allocators[PRIVATEALLOC_MAX];
	size_t private_count;
	uint64_t c_live_estimate_bytes;     /* from the samples, malloc family */
	uint64_t c_live_estimate_error;     /* one standard error of the estimate; 0 = exact */
	uint64_t c_blocks_touched_permille; /* resident share of sampled blocks' bytes */
	struct go_stats go;
	struct debt debt;
	struct account_peak {
		uint64_t bytes, at_ns; /* CLOCK_REALTIME; UNKNOWN: none was seen */
	} c_peak, rss_peak;            /* since the start or a reset: record/peak.h */
	uint64_t c_in_use_now_bytes;   /* which c_peak is the highest of */
	struct process_stats process;
	struct cgroup_stats cgroup;
	bool is_partial;              /* time ran out: the sums are lower bounds */
	uint32_t mappings;            /* VMAs read */
	uint32_t split_mappings;      /* that needed pagemap */
	uint32_t unsplit_mappings;    /* split mappings whose pagemap could not be read:
				       * unexplained */
	uint64_t thread_stacks_count; /* of running threads */
	/* Threads that have ended, and the address space of their stacks. libc keeps some of
	 * these stacks for new threads (glibc up to 40 MiB); the other threads were neither
	 * joined nor detached. */
	uint64_t ended_stacks_count, ended_stacks_bytes;
	const char *warnings[ACCOUNT_WARNINGS]; /* sentences; NULL-terminated where fewer */
};

/* A part of a mapping with one owner; the memory profile attaches stacks to it. */
struct account_part {
	uint64_t start, end;
	uint64_t resident;
	uint32_t site; /* of parts from the table of mappings; 0: none */
	uint8_t owner; /* in the allocator's memory, OWNER_C_LIVE means big blocks,
			* OWNER_C_RETAINED the rest */
	uint16_t file; /* index in account_parts.files; 0: none */
};
/* A sampled block in use, or one of a representative subset if there are many. */
struct account_block {
	uint64_t size;     /* never 0 */
	uint64_t weight;   /* bytes it stands for */
	uint64_t resident; /* bytes of it that are resident, all if that is not known; 0 if it is
			    * in none of the allocator's parts */
	uint32_t site;
};
struct account_parts {
	/* Ascending and disjoint, except that a private file mapping's clean pages overlap
	 * its copies. */
	struct account_part *list;
	size_t count;
	const char **files; /* paths as in /proc, by account_part.file; in scratch */
	size_t file_count;
	const struct account_block *blocks;
	size_t block_count;
	const struct pinned *pinned; /* by stack; NULL: not known. Valid until the next account */
};

/*
 * Takes the account into *out and its parts into *parts. Returns 0, or -1: /proc unreadable or
 * scratch exhausted. Server thread.
 */
int account_take(struct scratch *scratch, struct account *out, struct account_parts *parts);

/* What is kept has changed (trim): the next account reads it again, however long that took
 * before. */
void account_kept_forget(void);

#endif
