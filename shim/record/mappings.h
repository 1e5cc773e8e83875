/*
 * Which code mapped each range of the address space.
 *
 * Filled by the hooks of the mmap family and by threads as they start and end; read whole by the
 * account. Ranges never overlap: a new range replaces what it covers, as MAP_FIXED does in the
 * kernel.
 *
 * Ranges are nodes of one bounded pool in the region, in a balanced tree by address. One lock is
 * held for O(log n) steps per range and never over a system call. A full pool refuses and
 * counts; the account then shows such memory as untracked. A signal handler that maps while its
 * thread holds the lock is also refused and counted, because it cannot wait for itself.
 *
 * Order: a range is removed before the real munmap (or mremap) and added after the real mmap, so
 * no other thread can own the address in between. If munmap fails, the removed range is put
 * back.
 *
 * C's mappings and threads' stacks count in the profile (origins "mmap" and "thread_stack") by
 * their usable bytes. A PROT_NONE reservation counts nothing; bytes that mprotect or MAP_FIXED
 * makes usable in it count at the stack that did so. Files are recorded and never counted. All
 * figures are exact, not sampled:
 *
 *   one call that makes memory usable (mmap, mprotect, an mremap that grows) is
 *   one object of that many bytes at the calling site;
 *   later calls may cut it into pieces; each piece that is unmapped, covered or
 *   made unusable frees its bytes; the last piece, in any order, frees the object;
 *   an mremap that grows counts like realloc: all of the old is freed, all of the
 *   new is an object at mremap's caller; one that does not grow keeps its site.
 */
#ifndef CGOHEAP_MAPPINGS_H
#define CGOHEAP_MAPPINGS_H

#include "base/base.h"
#include "region/region.h"
#include "record/mappings_range.h"

/*
 * These functions: any thread; no allocation; errno untouched. start and bytes are as given to
 * the kernel and are rounded to pages as the kernel does.
 */
void mappings_map(const struct mappings_range *range);
/* usable: the new state. site: of C memory made usable; 0: not counted. */
void mappings_protect(uint64_t start, uint64_t bytes, bool usable, uint32_t site);
/* Whether mappings_protect(.., true, site) would use a site. */
bool mappings_wants_site(uint64_t start, uint64_t bytes);
bool mappings_find(uint64_t address, struct mappings_range *out);
/* The thread on the stack that holds address has ended. */
void mappings_stack_ended(uint64_t address);

/*
 * Removes what lies in the range so that it can be put back. Pass the result to exactly one of
 * the other three; 0 means nothing was there, and may be passed too.
 */
uint32_t mappings_hold(uint64_t start, uint64_t bytes);
void mappings_restore(uint32_t held);
void mappings_drop(uint32_t held);
/* mremap has moved the removed range `from` to `to`; at most bytes of it remain. */
void mappings_move(uint32_t held, uint64_t from, uint64_t to, uint64_t bytes);
/* mremap has mapped at `to` what also stays at `from` (MREMAP_DONTUNMAP). site: for C's part. */
void mappings_duplicate(uint64_t from, uint64_t to, uint64_t bytes, uint32_t site);

/* Copies all ranges, ascending, into scratch, a few at a time under the lock. Returns the
 * count, or -1: scratch exhausted. */
long mappings_copy(struct scratch *scratch, struct mappings_range **out);

/* Visits the site of each range, including 0. */
void mappings_each_site(void (*visit)(uint32_t site));

/*
 * Forgets ranges outside these spans (ascending, from /proc/self/maps), which libc or a raw
 * system call unmapped unseen. Ranges from since_tick or later stay: they may be newer than the
 * spans. Returns the bytes forgotten.
 */
struct mappings_span {
	uint64_t start, end;
};
uint64_t mappings_reconcile(const struct mappings_span *mapped, size_t count, uint32_t since_tick);

struct mappings_counters {
	uint64_t ranges;      /* now */
	uint64_t refused;     /* pool full */
	uint64_t interrupted; /* in a signal handler that interrupted this module */
	uint64_t uncaptured;  /* above the rate that is captured: only the caller is known */
};
struct mappings_counters mappings_counters(void);
void mappings_count_uncaptured(void);
void mappings_after_fork_in_child(void);
/* Around a fork whose child keeps profiling (atfork.c): the lock is held in between. -1:
 * the forking thread is already in this module (it forks in a signal handler), and holds
 * nothing more. */
__attribute__((warn_unused_result)) int mappings_before_fork(void);
void mappings_after_fork(void);
/* In the thread that forks, if another thread has called mappings_after_fork for it. */
void mappings_fork_abandoned(void);

#endif
