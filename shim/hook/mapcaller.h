/*
 * Classifies the caller of mmap: C code, the allocator behind malloc, or the Go runtime, and for
 * the runtime, what the memory is for.
 *
 * The Go runtime maps through libc: runtime.callCgoMmap calls x_cgo_mmap, which has one call of
 * mmap (runtime/cgo/gcc_mmap.c). The runtime's functions above that call tell the purpose.
 */
#ifndef CGOHEAP_MAPCALLER_H
#define CGOHEAP_MAPCALLER_H

#include "base/base.h"
#include "unwind/capture.h"
#include "record/mappings.h"

/*
 * Call once, in the constructor, after gomodules_init and real_resolve. allocator: the real
 * malloc. libc's malloc does not count as an allocator here, because its mappings never pass a
 * hook. A known allocator without statistics is treated as C code.
 */
void mapcaller_init(uint64_t allocator);

/* By the return address of the hook alone. mapcaller_is_go returns false until mapcaller_kind
 * sees the first Go mapping and learns its address. */
bool mapcaller_is_allocator(uint64_t caller);
bool mapcaller_is_go(uint64_t caller);

/* By the whole stack: MAPPINGS_C, MAPPINGS_GO_HEAP or MAPPINGS_GO_METADATA. usable: not
 * PROT_NONE. */
enum mappings_kind mapcaller_kind(const struct capture *c, bool usable);

#endif
