/*
 * See pagemap.h.  The scan's ABI is spelled out here: it is of Linux 6.7, newer
 * than the headers of the distributions this is built on.
 */
#include "pagemap.h"

#include <string.h>
#include <sys/ioctl.h>

#include "sys.h"

struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
	uint64_t inverted, all_of, any_of, returned;
};
#define SCAN         _IOWR('f', 16, struct scan_arg)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_ZERO    (UINT64_C(1) << 5)
#define SCAN_REGIONS 64

#define ENTRY_PRESENT (UINT64_C(1) << 63)

/* Present and not the page of zeros. */
static int scan(int fd, uint64_t start, size_t count, uint8_t *pages)
{
	struct scan_region found[SCAN_REGIONS];
	struct scan_arg arg = {.size = sizeof(arg),
			       .start = start,
			       .end = start + count * PAGE_BYTES,
			       .regions = (uint64_t)found,
			       .region_count = SCAN_REGIONS,
			       .inverted = SCAN_ZERO,
			       .all_of = SCAN_PRESENT | SCAN_ZERO,
			       .returned = SCAN_PRESENT};
	for (;;) {
		long n = sys_call(ioctl, fd, SCAN, &arg);
		if (sys_failed(n))
			return -1;
		for (long i = 0; i < n; i++)
			memset(pages + (found[i].start - start) / PAGE_BYTES, 1,
			       (found[i].end - found[i].start) / PAGE_BYTES);
		/* walk_end is only to be trusted where the regions did not suffice. */
		if (n < SCAN_REGIONS || arg.walk_end <= arg.start || arg.walk_end >= arg.end)
			return 0;
		arg.start = arg.walk_end;
	}
}

/* Of an older kernel, 8 bytes a page: knows present from swapped, not the page of zeros. */
static int read_entries(int fd, uint64_t start, size_t count, uint8_t *pages)
{
	uint64_t entries[256];
	for (size_t done = 0; done < count;) {
		size_t n = count - done < COUNT_OF(entries) ? count - done : COUNT_OF(entries);
		long bytes = sys_pread(fd, entries, n * 8, (start / PAGE_BYTES + done) * 8);
		if (sys_failed(bytes) || bytes < 8)
			return -1;
		n = (size_t)bytes / 8;
		for (size_t i = 0; i < n; i++)
			pages[done + i] = (entries[i] & ENTRY_PRESENT) != 0;
		done += n;
	}
	return 0;
}

static int read_pagemap(int fd, uint64_t start, size_t count, uint8_t *pages)
{
	memset(pages, 0, count);
	if (scan(fd, start, count, pages) == 0)
		return 0;
	memset(pages, 0, count);
	return read_entries(fd, start, count, pages);
}

/* Counts what RSS does not: the page of zeros, and pages on their way out to swap. */
static int ask_mincore(uint64_t start, size_t count, uint8_t *pages)
{
	if (sys_failed(sys_rare(mincore, start, count * PAGE_BYTES, pages)))
		return -1;
	for (size_t i = 0; i < count; i++)
		pages[i] &= 1;
	return 0;
}

int pagemap_present(uint64_t start, size_t count, uint8_t *pages)
{
	long fd = sys_open_read("/proc/self/pagemap");
	int result = -1;

	if (!sys_failed(fd)) {
		result = read_pagemap((int)fd, start, count, pages);
		sys_close((int)fd);
	}
	return result == 0 ? 0 : ask_mincore(start, count, pages);
}

uint64_t pagemap_resident_bytes(uint64_t start, uint64_t end)
{
	uint8_t pages[4 * KIB];
	uint64_t resident = 0;
	while (start < end) {
		size_t n = (end - start) / PAGE_BYTES;
		n = n < sizeof(pages) ? n : sizeof(pages);
		if (n == 0)
			break;
		if (pagemap_present(start, n, pages) != 0)
			return UNKNOWN;
		for (size_t i = 0; i < n; i++)
			resident += pages[i];
		start += n * PAGE_BYTES;
	}
	return resident * PAGE_BYTES;
}

/* Moves the window so that it begins with the page of address; false: it cannot be told. */
static bool window_move(struct pagemap_window *w, uint64_t address, uint64_t limit)
{
	uint64_t start = address & ~(uint64_t)(PAGE_BYTES - 1);
	uint64_t end = start + PAGEMAP_WINDOW_PAGES * PAGE_BYTES;
	if (end > limit)
		end = limit & ~(uint64_t)(PAGE_BYTES - 1);
	w->start = w->end = 0;
	if (end <= start || pagemap_present(start, (end - start) / PAGE_BYTES, w->pages) != 0)
		return false;
	w->start = start;
	w->end = end;
	return true;
}

uint64_t pagemap_window_bytes(struct pagemap_window *w, uint64_t start, uint64_t end,
			      uint64_t limit)
{
	uint64_t resident = 0;
	while (start < end) {
		uint64_t next = (start & ~(uint64_t)(PAGE_BYTES - 1)) + PAGE_BYTES;
		uint64_t stop = next < end ? next : end;
		if ((start < w->start || start >= w->end) && !window_move(w, start, limit))
			return UNKNOWN;
		if (w->pages[(start - w->start) / PAGE_BYTES])
			resident += stop - start;
		start = stop;
	}
	return resident;
}
