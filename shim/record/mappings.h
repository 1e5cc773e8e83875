/*
 * Who mapped each range of the address space.
 *
 * Fed by the hooks of the mmap family and by threads as they start and end; read
 * whole by the account.  Ranges never overlap: a new one takes the place of what
 * it covers, as MAP_FIXED does in the kernel.
 *
 * Ranges are nodes of one bounded pool in the region, in a balanced tree by
 * address, under one lock that is held for O(log n) steps a range concerned and
 * never over a system call.  A full pool refuses and counts; the account then
 * shows such memory as untracked.  A signal handler that maps while its thread is
 * in here is refused and counted too: it cannot wait for itself.
 *
 * Order: a range is taken out before the real munmap (or mremap) and put in after
 * the real mmap: in between, the address belongs to nobody else.  What a failed
 * munmap had taken out is put back.
 *
 * C's mappings and threads' stacks count in the profile (origins "mmap" and
 * "thread_stack") by their usable bytes: a PROT_NONE reservation counts nothing,
 * and what mprotect or MAP_FIXED makes usable inside it counts at the stack that
 * did so.  Files are recorded and never counted.  All is exact, not sampled:
 *
 *   one call that makes memory usable (mmap, mprotect, an mremap that grows) is
 *   one object of so many bytes at the site it came from;
 *   later calls may cut it into pieces; each piece that is unmapped, covered or
 *   made unusable frees its bytes; the last one, whichever it is, the object;
 *   an mremap that grows is what realloc is: all of the old is freed, all of the
 *   new is an object at mremap's caller; one that does not grow keeps its site.
 */
#ifndef CGOHEAP_MAPPINGS_H
#define CGOHEAP_MAPPINGS_H

#include "base/base.h"
#include "region/region.h"

enum mappings_kind {
	MAPPINGS_C,         /* C code; site tells who */
	MAPPINGS_ALLOCATOR, /* the allocator that answers malloc (jemalloc, tcmalloc ...) mapped it
			     for itself */
	MAPPINGS_GO_HEAP,   /* an arena: heap and goroutine stacks */
	MAPPINGS_GO_METADATA,  /* the runtime's own */
	MAPPINGS_THREAD_STACK, /* of a running thread; site: who created it */
	MAPPINGS_CACHED_STACK, /* its thread has ended, libc keeps or has unmapped it: reconcile */
	MAPPINGS_KIND_COUNT
};

enum {
	MAPPINGS_USABLE = 1, /* not PROT_NONE */
	MAPPINGS_FILE = 2,   /* maps a file */
	MAPPINGS_SHARED = 4,
	MAPPINGS_HEAD =
		8, /* in what is read: of the pieces of one object, the one to count it by */
};

struct mappings_range {
	uint64_t start, end; /* page-aligned */
	/* stacks.h; 0: none.  What is not usable keeps the site of who reserved it or last used it.
	 */
	uint32_t site;
	uint32_t tick; /* when it was mapped, moved or made usable, live.h */
	uint8_t kind;
	uint8_t flags;
	uint16_t reserved;
	uint32_t thread; /* tid, of thread stacks */
};

/* Whether the range's bytes are in its site's figures. */
bool mappings_is_counted(const struct mappings_range *range);

/*
 * All of these: any thread; no allocation; errno untouched.  start and bytes as
 * given to the kernel, which rounds them to pages as this does.
 */
void mappings_map(const struct mappings_range *range);
void mappings_unmap(uint64_t start, uint64_t bytes);
/* usable: now or no longer.  site: of C's memory that this makes usable; 0: not counted. */
void mappings_protect(uint64_t start, uint64_t bytes, bool usable, uint32_t site);
/* Whether mappings_protect(.., true, site) would have a use for a site. */
bool mappings_wants_site(uint64_t start, uint64_t bytes);
bool mappings_find(uint64_t address, struct mappings_range *out);
/* The stack that holds address has lost its thread. */
void mappings_stack_ended(uint64_t address);

/*
 * Takes out what lies in the range, so that it can be put back: what to hand to
 * exactly one of the other three; 0, also good for them: nothing lay there.
 */
uint32_t mappings_hold(uint64_t start, uint64_t bytes);
void mappings_restore(uint32_t held);
void mappings_drop(uint32_t held);
/* mremap has moved `from`, where it was taken out, to `to`; no more than bytes of it are left. */
void mappings_move(uint32_t held, uint64_t from, uint64_t to, uint64_t bytes);
/* mremap has mapped at `to` what also stays at `from` (MREMAP_DONTUNMAP).  site: of C's part. */
void mappings_duplicate(uint64_t from, uint64_t to, uint64_t bytes, uint32_t site);

/* All ranges, ascending, copied into scratch, a few at a time under the lock.  Count, or -1:
 * scratch exhausted. */
long mappings_copy(struct scratch *scratch, struct mappings_range **out);

/* The site of each range, 0 too. */
void mappings_each_site(void (*visit)(uint32_t site));

/*
 * Forgets what is in none of these spans (ascending; /proc/self/maps): what libc or a raw
 * system call has unmapped unseen.  Ranges of since_tick or later stay: they may be newer
 * than the spans.  The number of bytes forgotten.
 */
struct mappings_span {
	uint64_t start, end;
};
uint64_t mappings_reconcile(const struct mappings_span *mapped, size_t count, uint32_t since_tick);

struct mappings_counters {
	uint64_t ranges;      /* now */
	uint64_t refused;     /* pool full */
	uint64_t interrupted; /* in a signal handler that interrupted the table of mappings */
	uint64_t uncaptured;  /* more mappings a second than are captured: the caller alone is known
			       */
};
struct mappings_counters mappings_counters(void);
void mappings_count_uncaptured(void);
void mappings_after_fork_in_child(void);
/* Around a fork whose child goes on (atfork.c): the lock is held in between.  False: this
 * thread is in here already (it forks in a signal handler), and holds nothing more. */
bool mappings_before_fork(void);
void mappings_after_fork(void);
/* In the thread that forks, where another has called mappings_after_fork for it. */
void mappings_fork_abandoned(void);

#endif
