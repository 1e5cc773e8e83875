/*
 * Which pages of this process are resident, as RSS counts them.
 *
 * By /proc/self/pagemap: PAGEMAP_SCAN (Linux 6.7) takes 3 ms a GiB of 4 KiB pages,
 * reading its entries 12, and these do not tell the page of zeros (read before it
 * was ever written).  mincore would take 1 ms, but @system-service of systemd kills
 * for it: it is asked only where there is no pagemap, and no filter.
 *
 * Not for mappings of files: there mincore tells what is in the page cache.
 */
#ifndef CGOHEAP_PAGEMAP_H
#define CGOHEAP_PAGEMAP_H

#include "base/base.h"

#define UNKNOWN UINT64_MAX /* a figure that is not known; null in JSON */

/*
 * A byte a page, 1 or 0, of count pages from start on (page-aligned); what is not
 * mapped is not resident.  -1: it cannot be told here.
 */
int pagemap_present(uint64_t start, size_t count, uint8_t *pages);

/* Resident bytes of [start, end), whole pages; UNKNOWN where it cannot be told, or not within the
 * thread's budget (work.h). */
uint64_t pagemap_resident_bytes(uint64_t start, uint64_t end);

/* The first resident page from start (page-aligned) on, or end; start itself where the kernel
 * has no quick way to tell. */
uint64_t pagemap_next(uint64_t start, uint64_t end);

/*
 * Residency of scattered addresses, ascending: a window that is read ahead, so
 * that neighbours cost one system call together.
 */
#define PAGEMAP_WINDOW_PAGES 512
struct pagemap_window {
	uint64_t start, end; /* what `pages` tells of */
	uint8_t pages[PAGEMAP_WINDOW_PAGES];
};
/* Resident bytes of [start, end), which lies in a mapping that ends at `limit` or later; UNKNOWN.
 */
uint64_t pagemap_window_bytes(struct pagemap_window *window, uint64_t start, uint64_t end,
			      uint64_t limit);

#endif
