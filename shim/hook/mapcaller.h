/*
 * Who called mmap: C code, the allocator that answers malloc, or the Go runtime,
 * and what that wanted the memory for.
 *
 * The Go runtime maps through libc: runtime.callCgoMmap calls x_cgo_mmap, which has
 * one call of mmap (runtime/cgo/gcc_mmap.c).  What it maps for is told by the
 * runtime's functions above that call.
 */
#ifndef CGOHEAP_MAPCALLER_H
#define CGOHEAP_MAPCALLER_H

#include "base/base.h"
#include "unwind/capture.h"
#include "record/mappings.h"

/*
 * Once, in the constructor, after gomodules_init and real_resolve.  allocator: the real
 * malloc.  libc's own is nobody's allocator here: what it maps never passes a hook.
 * One without statistics that we know is C code like any other.
 */
void mapcaller_init(uint64_t allocator);

/* By the return address of the hook alone.  The first Go mapping that mapcaller_kind sees
 * teaches mapcaller_is_go its address; until then it says no. */
bool mapcaller_is_allocator(uint64_t caller);
bool mapcaller_is_go(uint64_t caller);

/* By the whole stack: MAPPINGS_C, MAPPINGS_GO_HEAP or MAPPINGS_GO_METADATA.  usable: not PROT_NONE.
 */
enum mappings_kind mapcaller_kind(const struct capture *c, bool usable);

#endif
