/*
 * Reads memory of this process that another thread may unmap at any time.  The kernel
 * does the copy and reports what it cannot read; nothing is dereferenced here.
 *
 * Only resident pages are read.  Reading an absent page would make it present, and on
 * a page that user space supplies (userfaultfd) it would block.
 */
#ifndef CGOHEAP_SELFMEM_H
#define CGOHEAP_SELFMEM_H

#include "base/base.h"

/* Returns how many leading bytes could be read.  Makes absent pages present. */
size_t selfmem_copy(uint64_t address, void *buffer, size_t bytes);

/* Reads all bytes or returns -1.  For at most a few pages. */
int selfmem_read(uint64_t address, void *buffer, size_t bytes);

/*
 * Reads `bytes` bytes from each of count addresses (at most SELFMEM_EACH) into consecutive
 * parts of buffer; ok says which reads succeeded.  The pages must be resident.
 */
#define SELFMEM_EACH 64
void selfmem_read_each(const uint64_t *addresses, size_t count, void *buffer, size_t bytes,
		       bool *ok);

#endif
