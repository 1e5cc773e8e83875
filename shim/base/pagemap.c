/*
 * See pagemap.h.  The ABI of the scan is defined here: it came with Linux 6.7 and is
 * missing from older distributions' headers.
 */
#include "base/pagemap.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>

#include "base/sys.h"
#include "base/work.h"

size_t pagemap_page_bytes(void)
{
	return getauxval(AT_PAGESZ);
}

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

/* Pages that are present and not the zero page. */
static struct scan_arg scan_of(uint64_t start, uint64_t end, struct scan_region *found, size_t room)
{
	return (struct scan_arg){.size = sizeof(struct scan_arg),
				 .start = start,
				 .end = end,
				 .regions = (uint64_t)found,
				 .region_count = room,
				 .inverted = SCAN_ZERO,
				 .all_of = SCAN_PRESENT | SCAN_ZERO,
				 .returned = SCAN_PRESENT};
}

typedef void scan_visit(void *arg, uint64_t start, uint64_t end);

static int scan(int fd, uint64_t start, uint64_t end, scan_visit *visit, void *to)
{
	/* Initialized because valgrind does not know that the kernel writes here. */
	struct scan_region found[SCAN_REGIONS] = {{0}};
	struct scan_arg arg = scan_of(start, end, found, SCAN_REGIONS);
	for (;;) {
		long n = sys_call(ioctl, fd, SCAN, &arg);
		if (sys_failed(n))
			return -1;
		for (long i = 0; i < n; i++)
			visit(to, found[i].start, found[i].end);
		/* walk_end is reliable only if the regions did not suffice. */
		if (n < SCAN_REGIONS || arg.walk_end <= arg.start || arg.walk_end >= arg.end)
			return 0;
		arg.start = arg.walk_end;
	}
}

/* For older kernels, 8 bytes a page: tells present from swapped, but not the zero page. */
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

/* The same where the kernel's pages are larger: each has an entry. */
static int read_large(int fd, uint64_t start, size_t count, uint8_t *pages)
{
	size_t page_bytes = pagemap_page_bytes();
	uint64_t entry = 0, last = UINT64_MAX;

	for (size_t i = 0; i < count; i++) {
		uint64_t n = (start + i * PAGE_BYTES) / page_bytes;
		if (n != last &&
		    sys_pread(fd, &entry, sizeof(entry), n * sizeof(entry)) != (long)sizeof(entry))
			return -1;
		pages[i] = (entry & ENTRY_PRESENT) != 0;
		last = n;
	}
	return 0;
}

struct marks {
	uint64_t start;
	uint8_t *pages;
};

static void mark(void *arg, uint64_t start, uint64_t end)
{
	const struct marks *m = arg;
	memset(m->pages + (start - m->start) / PAGE_BYTES, 1, (end - start) / PAGE_BYTES);
}

static int read_pagemap(int fd, uint64_t start, size_t count, uint8_t *pages)
{
	struct marks marks = {start, pages};
	if (pagemap_page_bytes() != PAGE_BYTES)
		return read_large(fd, start, count, pages);
	memset(pages, 0, count);
	if (scan(fd, start, start + count * PAGE_BYTES, mark, &marks) == 0)
		return 0;
	memset(pages, 0, count);
	return read_entries(fd, start, count, pages);
}

/* Counts pages that RSS does not: the zero page, and pages being swapped out. */
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

/* ---- sums ---------------------------------------------------------------- */

/* Per call: 50 ms if all of it is resident, almost nothing if none is. */
#define SCAN_BYTES (UINT64_C(16) << 30)

static void add(void *arg, uint64_t start, uint64_t end)
{
	*(uint64_t *)arg += end - start;
}

static uint64_t scan_bytes(int fd, uint64_t start, uint64_t end)
{
	uint64_t resident = 0;
	for (uint64_t stop; start < end; start = stop) {
		stop = end - start < SCAN_BYTES ? end : start + SCAN_BYTES;
		if (!work_may_go_on(1000000) || scan(fd, start, stop, add, &resident) != 0)
			return UNKNOWN;
	}
	return resident;
}

/* Page by page: 12 ms per GiB, resident or not. */
static uint64_t count_bytes(uint64_t start, uint64_t end)
{
	uint8_t pages[4 * KIB];
	uint64_t resident = 0;
	while (start < end) {
		size_t n = (end - start) / PAGE_BYTES;
		n = n < sizeof(pages) ? n : sizeof(pages);
		if (n == 0)
			break;
		if (!work_may_go_on(200000) || pagemap_present(start, n, pages) != 0)
			return UNKNOWN;
		for (size_t i = 0; i < n; i++)
			resident += pages[i];
		start += n * PAGE_BYTES;
	}
	return resident * PAGE_BYTES;
}

uint64_t pagemap_resident_bytes(uint64_t start, uint64_t end)
{
	long fd = sys_open_read("/proc/self/pagemap");
	uint64_t resident = UNKNOWN;
	if (!sys_failed(fd)) {
		resident = scan_bytes((int)fd, start, end);
		sys_close((int)fd);
	}
	return resident != UNKNOWN ? resident : count_bytes(start, end);
}

uint64_t pagemap_next(uint64_t start, uint64_t end)
{
	struct scan_region found = {0};
	struct scan_arg arg = scan_of(start, end, &found, 1);
	long fd = sys_open_read("/proc/self/pagemap"), n;
	if (sys_failed(fd) || start >= end)
		return start;
	arg.max_pages = 1;
	n = sys_call(ioctl, fd, SCAN, &arg);
	sys_close((int)fd);
	if (sys_failed(n))
		return start;
	return n > 0 ? found.start : end;
}

/* ---- scattered addresses ------------------------------------------------- */

/* Moves the window to start at the page of address; -1: unavailable. */
static int window_move(struct pagemap_window *w, uint64_t address, uint64_t limit)
{
	uint64_t start = address & ~(uint64_t)(PAGE_BYTES - 1);
	uint64_t end = start + PAGEMAP_WINDOW_PAGES * PAGE_BYTES;
	if (end > limit)
		end = limit & ~(uint64_t)(PAGE_BYTES - 1);
	w->start = w->end = 0;
	if (end <= start || pagemap_present(start, (end - start) / PAGE_BYTES, w->pages) != 0)
		return -1;
	w->start = start;
	w->end = end;
	return 0;
}

uint64_t pagemap_window_bytes(struct pagemap_window *w, uint64_t start, uint64_t end,
			      uint64_t limit)
{
	uint64_t resident = 0;
	while (start < end) {
		uint64_t next = (start & ~(uint64_t)(PAGE_BYTES - 1)) + PAGE_BYTES;
		uint64_t stop = next < end ? next : end;
		if ((start < w->start || start >= w->end) && window_move(w, start, limit))
			return UNKNOWN;
		if (w->pages[(start - w->start) / PAGE_BYTES])
			resident += stop - start;
		start = stop;
	}
	return resident;
}
