/*
 * Which parts of Go's heap stay mapped forever.
 *
 * The Go runtime commits its heap in steps of 4 MiB and never returns address space:
 * it releases pages with madvise, and they stay readable.  So a hook can read committed
 * memory without asking the kernel about each page, as it must for memory that may be
 * unmapped (saferead.h).
 *
 * The mmap hooks report changes.  Chunks that are unmapped or protected after all (user
 * arenas: runtime/arena.go, sysFault) are removed before that happens.  A chunk that does
 * not fit in the set is treated as unknown: the kernel is asked.
 *
 * Sources: runtime/mheap.go (grow), runtime/mem_linux.go, Go 1.21 to 1.27.
 * All functions: any thread, lock-free, async-signal-safe.
 */
#ifndef CGOHEAP_GOARENA_H
#define CGOHEAP_GOARENA_H

#include "base/base.h"

#define GOARENA_CHUNK_BYTES (4 * MIB)

/* The runtime has made [start, end) readable: adds the whole chunks in it. */
void goarena_note(uint64_t start, uint64_t end);

/* Call before [start, end) is unmapped or mapped over: removes every chunk that it touches. */
void goarena_forget(uint64_t start, uint64_t end);

/* Whether all of the bytes are in chunks of the set. */
bool goarena_holds(uint64_t address, uint64_t bytes);

#endif
