/*
 * Room account: whose the resident memory is.  The server's thread, and the worker where an
 * allocator is asked; takes the lock of the table of mappings for a few ranges at a time.
 *
 * What the RSS is made of: every resident page has one owner.
 *
 * One pass over /proc/self/smaps gives each mapping's resident bytes.  A mapping
 * has one owner, or it is split by mappings ranges, recognised allocator heaps and
 * module ranges, and /proc/self/pagemap says which pages of each part are
 * resident; parts are scaled so that they sum to what smaps said.
 *
 * Precedence for a page: the shim's own memory; the table of mappings; thread stacks; files
 * and the modules' .data and .bss; the C allocator's memory recognised by its own
 * structures (brk heap, arena headers, chunk headers); stacks whose thread has
 * ended, by the descriptor that libc leaves in them; what was there when the shim
 * started (the loader's); and what nobody claims is untracked_mmap.
 *
 * Nothing stops: the kernel's mmap_lock is taken for reading, one mapping at a time;
 * the table of mappings's lock for a few ranges at a time; the allocator's own locks, an arena at
 * a time, as its statistics need (allocator.h: how long is in the account, and bounded).
 */
#ifndef CGOHEAP_ACCOUNT_H
#define CGOHEAP_ACCOUNT_H

#include "base/base.h"
#include "base/pagemap.h"
#include "region/region.h"
#include "proc/procinfo.h"
#include "go/gostats.h"
#include "account/allocator.h"
#include "account/privatealloc.h"

/* In the order they are shown.  Names: account_owner_name, fixed interface. */
enum account_owner {
	OWNER_GO_HEAP,
	OWNER_GO_STACKS,
	OWNER_GO_METADATA,
	OWNER_C_LIVE,
	OWNER_C_RETAINED,
	OWNER_C_MMAP,
	OWNER_C_BRK,       /* taken by sbrk or brk past malloc */
	OWNER_FILE_COPIES, /* pages of private file mappings that were written to */
	OWNER_DEVICE_MAPS, /* rings and buffers of sockets, devices, io_uring, perf */
	OWNER_THREAD_STACKS,
	OWNER_PROGRAM,
	OWNER_LIBRARIES,
	OWNER_MAPPED_FILES,
	OWNER_SHARED_MEMORY,
	OWNER_SHIM,
	OWNER_KERNEL,         /* vdso, vvar */
	OWNER_UNTRACKED_MMAP, /* anonymous, mapped by a raw system call or before us */
	OWNER_COUNT
};
const char *account_owner_name(enum account_owner owner);

struct account_bytes {
	uint64_t resident;  /* the owner's share of RSS */
	uint64_t huge;      /* of it in transparent huge pages (AnonHugePages) */
	uint64_t lazy_free; /* of it marked MADV_FREE: resident until the kernel wants it (LazyFree)
			     */
	uint64_t swapped;
	uint64_t mapped; /* usable address space, resident or not */
	bool known; /* false: in a neighbour that says so (go_stacks in go_heap), or unexplained */
	bool exact; /* counted, not estimated */
};

/* What C retained is made of, where the allocator is glibc; resident bytes, UNKNOWN. */
struct kept_bytes {
	uint64_t returnable; /* malloc_trim gives it back */
	uint64_t arena_ends; /* the ends of arenas, which it does not; of end_count arenas */
	uint64_t end_count;
	uint64_t cached; /* fast bins; blocks in threads' caches are in use by glibc's count */
	uint64_t pinned; /* free memory whose pages blocks in use lie on, and the allocator's own */
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
	uint64_t c_live_estimate_error;     /* one standard error of it; 0 = exact */
	uint64_t c_blocks_touched_permille; /* of sampled blocks' bytes, how many are resident */
	struct go_stats go;
	struct process_stats process;
	struct cgroup_stats cgroup;
	bool is_partial;              /* there was no time for the rest: sums are at least that */
	uint32_t mappings;            /* VMAs read */
	uint32_t split_mappings;      /* that needed pagemap */
	uint32_t unsplit_mappings;    /* of them those where it could not be had: unexplained */
	uint64_t thread_stacks_count; /* of running threads */
	/* Of threads that have ended, and their bytes of address space.  libc keeps some of them
	 * for new threads (glibc 40 MiB); the others' threads were neither joined nor detached. */
	uint64_t ended_stacks_count, ended_stacks_bytes;
	const char *warnings[ACCOUNT_WARNINGS]; /* sentences; NULL-terminated where fewer */
};

/* One part of a mapping with one owner: what the memory profile hangs stacks on. */
struct account_part {
	uint64_t start, end;
	uint64_t resident;
	uint32_t site; /* of mappings parts; 0 none */
	uint8_t owner; /* of the allocator's, OWNER_C_LIVE are big blocks, OWNER_C_RETAINED all else
			*/
	uint16_t file; /* place in account_parts.files; 0: none */
};
/* One sampled block in use, or one of a fair share of them where they are many. */
struct account_block {
	uint64_t size;     /* never 0 */
	uint64_t weight;   /* bytes it stands for */
	uint64_t resident; /* of its own bytes, all where that is not known; 0 where it is in none
			      of the allocator's parts */
	uint32_t site;
};
struct account_parts {
	/* Ascending; disjoint, but for a private file mapping's clean pages and its copies. */
	struct account_part *list;
	size_t count;
	const char **files; /* paths as /proc has them, by account_part.file; in scratch */
	size_t file_count;
	const struct account_block *blocks;
	size_t block_count;
};

/*
 * Takes the account into *out and what it was made from into *parts.  0, or -1:
 * /proc unreadable or scratch exhausted.  Server thread.
 */
int account_take(struct scratch *scratch, struct account *out, struct account_parts *parts);

/* What is kept changed (trim): the next account reads it, however long that took before. */
void account_kept_forget(void);

#endif
