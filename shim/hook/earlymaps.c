/* See earlymaps.h. */
#include "hook/earlymaps.h"

#include <sys/mman.h>

#include "base/state.h"
#include "go/gosym.h"
#include "proc/smaps.h"
#include "record/mappings.h"
#include "hook/mapcaller.h"
#include "hook/real.h"

#define MAX_RANGES 128
#define MAX_CALLS  64

static struct {
	uint64_t start, end;
} ranges[MAX_RANGES];
static size_t range_count;

/* Calls of mmap for anonymous memory before the constructor. */
static struct {
	uint64_t start, end, caller;
	bool is_placed; /* at an address that the caller chose */
} calls[MAX_CALLS];
static size_t call_count;

static struct {
	uint64_t device, inode;
} files[EARLYMAPS_FILES];
static size_t file_count;

static void note_call(const void *p, size_t n, uint64_t caller, bool is_placed)
{
	size_t i = __atomic_fetch_add(&call_count, 1, __ATOMIC_RELAXED);
	if (i >= MAX_CALLS)
		return;
	calls[i].start = (uint64_t)p;
	calls[i].caller = caller;
	calls[i].is_placed = is_placed;
	STORE_REL(&calls[i].end, ALIGN_UP((uint64_t)p + n, (uint64_t)PAGE_BYTES));
}

void *earlymaps_mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset, uint64_t caller)
{
	void *result = real.mmap(p, n, prot, flags, fd, offset);
	if (shim_state_now() == SHIM_LOADING && result != MAP_FAILED &&
	    (flags & (MAP_ANONYMOUS | MAP_SHARED)) == MAP_ANONYMOUS)
		note_call(result, n, caller, p != NULL);
	return result;
}

/*
 * musl runs constructors in the C start code, which a program linked by Go's own linker does not
 * have: the library starts with the first thread, and the runtime has mapped its first arena by
 * then. Such a program has its C code within Go's.
 *
 * The runtime asks for whole arenas at an address that it has chosen (runtime/malloc.go, sysAlloc),
 * and then for parts of them.
 */
#define GO_ARENA_BYTES (64 * MIB)
static bool is_go_heap(uint64_t start)
{
	size_t count = call_count < MAX_CALLS ? call_count : MAX_CALLS;

	for (size_t i = 0; i < count; i++)
		if (calls[i].is_placed && start >= calls[i].start && start < calls[i].end &&
		    calls[i].start % GO_ARENA_BYTES == 0 && calls[i].end % GO_ARENA_BYTES == 0)
			return true;
	return false;
}

static enum mappings_kind kind_of(uint64_t start, uint64_t caller)
{
	if (mapcaller_is_allocator(caller))
		return MAPPINGS_ALLOCATOR;
	if (!gosym_in_text(caller - 1))
		return MAPPINGS_C;
	return is_go_heap(start) ? MAPPINGS_GO_HEAP : MAPPINGS_GO_METADATA;
}

/* Hands over what still exists of it, as part of one mapping. */
static void hand_over(const struct smaps_mapping *m)
{
	size_t count = call_count < MAX_CALLS ? call_count : MAX_CALLS;
	bool usable = m->readable || m->writable || m->executable;
	for (size_t i = 0; i < count; i++) {
		uint64_t end = LOAD_ACQ(&calls[i].end); /* 0: another thread is filling it */
		struct mappings_range r = {.start = calls[i].start > m->start ? calls[i].start
									      : m->start,
					   .end = end < m->end ? end : m->end,
					   .kind = kind_of(calls[i].start, calls[i].caller),
					   .flags = usable ? MAPPINGS_USABLE : 0};
		if (r.start < r.end)
			mappings_map(&r);
	}
}

static void keep(const struct smaps_mapping *m)
{
	if (range_count == MAX_RANGES)
		return;
	if (range_count && ranges[range_count - 1].end == m->start) {
		ranges[range_count - 1].end = m->end;
		return;
	}
	ranges[range_count].start = m->start;
	ranges[range_count++].end = m->end;
}

static void keep_file(uint64_t device, uint64_t inode)
{
	if (inode == 0 || file_count == EARLYMAPS_FILES || earlymaps_file(device, inode) >= 0)
		return;
	files[file_count].device = device;
	files[file_count++].inode = inode;
}

void earlymaps_take(struct scratch *scratch)
{
	struct smaps maps;
	struct smaps_mapping m;
	range_count = 0;
	if (smaps_open_path(&maps, scratch, "/proc/self/maps") == 0)
		while (smaps_next(&maps, &m)) {
			if (m.executable)
				keep_file(m.device, m.inode);
			/* Private, not a file, and without a name from the kernel. */
			if (!m.path[0] && !m.shared) {
				hand_over(&m);
				keep(&m);
			}
		}
	smaps_close(&maps);
}

int earlymaps_file(uint64_t device, uint64_t inode)
{
	for (size_t i = 0; i < file_count; i++)
		if (files[i].device == device && files[i].inode == inode)
			return (int)i;
	return -1;
}

int earlymaps_claim(struct scratch *scratch, struct rangeset *claims, uint8_t what)
{
	for (size_t i = 0; i < range_count; i++)
		if (rangeset_add(scratch, claims, ranges[i].start, ranges[i].end, what, 0))
			return -1;
	return 0;
}
