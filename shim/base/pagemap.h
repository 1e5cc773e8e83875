/*
 * Which pages of this process are resident, as RSS counts them.
 *
 * From /proc/self/pagemap: PAGEMAP_SCAN (Linux 6.7) takes 3 ms per GiB of 4 KiB pages,
 * reading the entries 12 ms, and the entries cannot tell the zero page (read but never
 * written).  mincore would take 1 ms, but systemd's @system-service kills for it, so it
 * is used only without a pagemap and without a filter.
 *
 * Not for file mappings: there mincore reports the page cache.
 */
#ifndef CGOHEAP_PAGEMAP_H
#define CGOHEAP_PAGEMAP_H

#include "base/base.h"

/*
 * The kernel's pages, in bytes: PAGE_BYTES, or on some processors 16 or 64 KiB.  Whoever counts in
 * pages counts parts of PAGE_BYTES, all of them resident or none.
 */
size_t pagemap_page_bytes(void);

#define UNKNOWN UINT64_MAX /* an unknown figure; null in JSON */

/*
 * Sets one byte, 1 or 0, for each of count pages from start (page-aligned).  Unmapped pages
 * are not resident.  -1: unavailable here.
 */
int pagemap_present(uint64_t start, size_t count, uint8_t *pages);

/* Resident bytes of [start, end), in whole pages; UNKNOWN if unavailable or if the thread's
 * budget (work.h) does not suffice. */
uint64_t pagemap_resident_bytes(uint64_t start, uint64_t end);

/* The first resident page at or after start (page-aligned), or end; start itself if the kernel
 * has no fast way to tell. */
uint64_t pagemap_next(uint64_t start, uint64_t end);

/*
 * Residency of scattered addresses in ascending order.  A window is read ahead, so that
 * neighbouring addresses share one system call.
 */
#define PAGEMAP_WINDOW_PAGES 512
struct pagemap_window {
	uint64_t start, end; /* the range that `pages` covers */
	uint8_t pages[PAGEMAP_WINDOW_PAGES];
};
/* Resident bytes of [start, end), or UNKNOWN.  Its mapping must reach at least to limit. */
uint64_t pagemap_window_bytes(struct pagemap_window *window, uint64_t start, uint64_t end,
			      uint64_t limit);

#endif
