/*
 * Any bytes in the place of .eh_frame and .eh_frame_hdr: the search for an entry,
 * and a row from it.  They end where a page ends that nothing follows.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "unwind/cfi.h"
#include "unwind/cfi_entry.h"
#include "unwind/fde.h"

#define ROOM (64 * KIB)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static uint8_t *room(void)
{
	static uint8_t *p;

	if (!p) {
		p = mmap(NULL, ROOM + PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED || mprotect(p + ROOM, PAGE_BYTES, PROT_NONE))
			abort();
	}
	return p;
}

/* The first byte says where an entry begins, the second how far the code lies from there. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct fde_module module;
	struct cfi_row row;
	uint64_t start, pc, found;

	if (count < 2 || count > ROOM)
		return 0;
	memset(room(), 0, ROOM);
	start = (uint64_t)room() + ROOM - (count - 2);
	memcpy((void *)start, bytes + 2, count - 2);
	pc = start + bytes[1];
	module = (struct fde_module){start, (uint64_t)room(), (uint64_t)room() + ROOM};
	cfi_compile(&module, start + bytes[0], pc, &row);
	cfi_covers(&module, start + bytes[0], pc);
	found = fde_find(&module, pc);
	if (found)
		cfi_compile(&module, found, pc, &row);
	return 0;
}
