/*
 * Which pages of this process are resident.
 *
 * mincore, for anonymous memory: 1 ms a GiB of 4 KiB pages, where PAGEMAP_SCAN
 * takes 3 and reading /proc/self/pagemap 12.  It counts what RSS does not: pages
 * that all map the one page of zeros (read before they were ever written), and
 * pages on their way out to swap.  pagemap_counted asks the slow way and leaves
 * those out, for where the sum is not what smaps says.
 *
 * Not for mappings of files: there mincore tells what is in the page cache.
 */
#ifndef CGOHEAP_PAGEMAP_H
#define CGOHEAP_PAGEMAP_H

#include "base.h"

/* A byte a page, 1 or 0, of count pages from start on (page-aligned).  -1: not all of it is mapped.
 */
int pagemap_present(uint64_t start, size_t count, uint8_t *pages);
/* As pagemap_present, but only pages that count in RSS. */
int pagemap_counted(uint64_t start, size_t count, uint8_t *pages);

/* Resident bytes of [start, end), by pagemap_present; 0 of what is not mapped. */
uint64_t pagemap_resident_bytes(uint64_t start, uint64_t end);

/*
 * Residency of scattered addresses, ascending: a window that is read ahead, so
 * that neighbours cost one system call together.
 */
#define PAGEMAP_WINDOW_PAGES 512
struct pagemap_window {
	uint64_t start, end; /* what `pages` tells of */
	uint8_t pages[PAGEMAP_WINDOW_PAGES];
};
/* Resident bytes of [start, end), which lies in a mapping that ends at `limit` or later. */
uint64_t pagemap_window_bytes(struct pagemap_window *window, uint64_t start, uint64_t end,
			      uint64_t limit);

#endif
