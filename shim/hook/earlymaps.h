/*
 * What was mapped before the shim began.
 *
 * Most of it is the loader's: its own memory, the main thread's static TLS.  What
 * came through the hooks meanwhile (the constructors of libraries, and the
 * allocator behind us, which begins with the first malloc) is known by its
 * caller.  Taken once; bounded.
 */
#ifndef CGOHEAP_EARLYMAPS_H
#define CGOHEAP_EARLYMAPS_H

#include <sys/types.h>

#include "base/base.h"
#include "proc/rangeset.h"

/* The real mmap, for the hook while the shim is not active: before it begins, remembers who
 * called.  Any thread; no allocation. */
void *earlymaps_mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset, uint64_t caller);

/*
 * In the constructor, after mapcaller_init: one read of /proc/self/maps, through
 * the given scratch.  What the hooks have seen of it goes into the table of mappings.
 */
void earlymaps_take(struct scratch *scratch);

/* Files of which there was an executable mapping then: their places, 0 to EARLYMAPS_FILES - 1; -1:
 * not one of them. */
#define EARLYMAPS_FILES 256
int earlymaps_file(uint64_t device, uint64_t inode);

/* Adds what is left, each anonymous range, as `what`.  False: scratch is exhausted. */
bool earlymaps_claim(struct scratch *scratch, struct rangeset *claims, uint8_t what);

#endif
