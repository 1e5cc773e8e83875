/*
 * Reading memory of this process that another thread may unmap meanwhile: the
 * kernel copies it, and says so where it cannot.  Never a bare dereference.
 *
 * Only resident pages are read.  A read would make an absent page present, and
 * of a page that user space pages in (userfaultfd) it would wait for whoever does.
 */
#ifndef CGOHEAP_SELFMEM_H
#define CGOHEAP_SELFMEM_H

#include "base/base.h"

/* How many of the bytes could be read, from the first on; absent pages are made present. */
size_t selfmem_copy(uint64_t address, void *buffer, size_t bytes);

/* All of the bytes, or false.  At most a few pages: not for bulk. */
bool selfmem_read(uint64_t address, void *buffer, size_t bytes);

/*
 * As many bytes at each of count addresses (at most SELFMEM_EACH), one behind the
 * other into buffer; ok: which could be read.  The caller knows that they are resident.
 */
#define SELFMEM_EACH 64
void selfmem_read_each(const uint64_t *addresses, size_t count, void *buffer, size_t bytes,
		       bool *ok);

#endif
