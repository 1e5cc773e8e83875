/*
 * Which stretches of Go's heap are there for good.
 *
 * The Go runtime commits its heap in steps of 4 MiB and never gives address space
 * of it back: pages are released with madvise, which leaves them readable.  What
 * has been committed can so be read by a hook without asking the kernel about
 * each page, as of memory that may be gone (saferead.h).
 *
 * Told by the hooks of the mmap family; what is unmapped or protected after all
 * (user arenas: runtime/arena.go, sysFault) is forgotten before it goes.  A chunk
 * for which there is no room is one that is asked about.
 *
 * Facts by source: runtime/mheap.go (grow), runtime/mem_linux.go, Go 1.21 to 1.27.
 * All functions: any thread, lock-free, async-signal-safe.
 */
#ifndef CGOHEAP_GOARENA_H
#define CGOHEAP_GOARENA_H

#include "base/base.h"

#define GOARENA_CHUNK_BYTES (4 * MIB)

/* The runtime has made [start, end) readable: the whole chunks in it count from now on. */
void goarena_note(uint64_t start, uint64_t end);

/* About to go, or to be mapped over: none of it counts any more. */
void goarena_forget(uint64_t start, uint64_t end);

/* Whether all of the bytes lie in chunks that count. */
bool goarena_holds(uint64_t address, uint64_t bytes);

#endif
