/*
 * What was mapped before the shim began.
 *
 * Most of it belongs to the loader: its memory, the main thread's static TLS. Mappings that came
 * through the hooks meanwhile (from constructors of libraries, and from the allocator behind us,
 * which begins with the first malloc) are known by their caller. Read once; bounded.
 */
#ifndef CGOHEAP_EARLYMAPS_H
#define CGOHEAP_EARLYMAPS_H

#include <sys/types.h>

#include "base/base.h"
#include "proc/rangeset.h"

/* The real mmap, for the hook while the shim is not active. Before the shim begins, remembers
 * the caller. Any thread; no allocation. */
void *earlymaps_mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset, uint64_t caller);

/*
 * In the constructor, after mapcaller_init: reads /proc/self/maps once, through the given
 * scratch. Mappings that the hooks have seen go into the table of mappings.
 */
void earlymaps_take(struct scratch *scratch);

/* The index, 0 to EARLYMAPS_FILES - 1, of a file that had an executable mapping then; -1: none. */
#define EARLYMAPS_FILES 256
int earlymaps_file(uint64_t device, uint64_t inode);

/* Adds each remaining anonymous range as `what`. -1: scratch is exhausted. */
int earlymaps_claim(struct scratch *scratch, struct rangeset *claims, uint8_t what);

#endif
