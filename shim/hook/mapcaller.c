/* See mapcaller.h. */
#include "hook/mapcaller.h"

#include <string.h>

#include "base/ascii.h"
#include "base/dynsym.h"
#include "base/libc.h"
#include "go/gosym.h"

/* ---- the allocator ---------------------------------------------------- */

static struct {
	uint64_t start, end; /* its module; 0, 0: libc's, or not found */
} allocator;

/* Return addresses in x_cgo_mmap, one per runtime; 0: free. Further runtimes are captured as
 * C code. */
#define MAX_GO_CALLERS 8
static uint64_t go_callers[MAX_GO_CALLERS];

/*
 * Only an allocator with statistics counts as one. An engine that exports malloc (V8 with
 * PartitionAlloc) also maps memory for other purposes and does not tell which is which.
 */
static bool has_statistics(const struct dynsym_module *m)
{
	return dynsym_find_in_module(m, "mallctl") ||
	       dynsym_find_in_module(m, "MallocExtension_GetNumericProperty") ||
	       dynsym_find_in_module(m, "mi_process_info");
}

void mapcaller_init(uint64_t malloc_address)
{
	struct dynsym_module m;
	uint64_t in_libc = (uint64_t)libc_address();

	if (dynsym_module((const void *)malloc_address, &m) ||
	    (in_libc >= m.start && in_libc < m.end) || !has_statistics(&m))
		return;
	allocator.start = m.start;
	allocator.end = m.end;
}

bool mapcaller_is_allocator(uint64_t caller)
{
	return caller >= allocator.start && caller < allocator.end;
}

/* ---- Go --------------------------------------------------------------- */

bool mapcaller_is_go(uint64_t caller)
{
	for (size_t i = 0; caller && i < MAX_GO_CALLERS; i++)
		if (LOAD(&go_callers[i]) == caller)
			return true;
	return false;
}

static void learn_go_caller(uint64_t caller)
{
	for (size_t i = 0; i < MAX_GO_CALLERS; i++) {
		uint64_t held = 0;
		if (__atomic_compare_exchange_n(&go_callers[i], &held, caller, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
		    held == caller)
			return;
	}
}

/* The frames of the call: mmap, x_cgo_mmap, runtime.callCgoMmap. */
enum { FRAME_X_CGO_MMAP = 1, FRAME_CALL_CGO_MMAP = 2, FRAME_GO = 3 };

static bool is_call_cgo_mmap(uint64_t pc)
{
	struct gosym_func f;
	return gosym_in_text(pc) && gosym_find(pc, &f) &&
	       strcmp(f.name, "runtime.callCgoMmap") == 0;
}

static bool is_go_call(const struct capture *c)
{
	return gosym_is_go() && c->count > FRAME_CALL_CGO_MMAP &&
	       is_call_cgo_mmap(c->frames[FRAME_CALL_CGO_MMAP] - 1);
}

enum purpose { PURPOSE_NOT_SAID, PURPOSE_HEAP_ARENA, PURPOSE_METADATA };

/*
 * Innermost first, because functions that grow the heap also need metadata: (*mheap).sysAlloc
 * reserves an arena and then asks persistentalloc or sysAllocOS for what describes it
 * (runtime/malloc.go, mheap.go, mpagealloc.go; the names are those of Go 1.18 to 1.27).
 */
static const struct {
	const char *prefix;
	enum purpose purpose;
} purposes[] = {
	{"runtime.persistentalloc", PURPOSE_METADATA},
	{"runtime.(*pageAlloc).", PURPOSE_METADATA},
	{"runtime.(*scavengeIndex).", PURPOSE_METADATA},
	{"runtime.(*mheap).sysAlloc", PURPOSE_HEAP_ARENA},
	{"runtime.(*mheap).grow", PURPOSE_HEAP_ARENA},
	{"runtime.(*mheap).allocUserArenaChunk", PURPOSE_HEAP_ARENA},
};

static enum purpose purpose_of(const char *function)
{
	for (size_t i = 0; i < COUNT_OF(purposes); i++)
		if (ascii_begins(function, purposes[i].prefix))
			return purposes[i].purpose;
	return PURPOSE_NOT_SAID;
}

/* The functions above are too large to be inlined, so the function that contains the pc is
 * enough. */
static enum purpose purpose_of_frame(uint64_t return_address)
{
	struct gosym_func f;
	return gosym_find(return_address - 1, &f) ? purpose_of(f.name) : PURPOSE_NOT_SAID;
}

enum mappings_kind mapcaller_kind(const struct capture *c, bool usable)
{
	enum purpose purpose = PURPOSE_NOT_SAID;

	if (!is_go_call(c))
		return MAPPINGS_C;
	learn_go_caller(c->frames[FRAME_X_CGO_MMAP]);
	for (uint32_t i = FRAME_GO; i < c->count && purpose == PURPOSE_NOT_SAID; i++)
		purpose = purpose_of_frame(c->frames[i]);
	/* An arena is first reserved; memory that is usable at once is metadata. */
	return purpose == PURPOSE_HEAP_ARENA && !usable ? MAPPINGS_GO_HEAP : MAPPINGS_GO_METADATA;
}
