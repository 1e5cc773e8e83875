/*
 * The slow halves of the hooks of the mmap family: the real call, and what the table of mappings
 * records of it (mappings.h explains the order).
 *
 * The shim is active. caller: the hook's return address. errno as the real call left it.
 */
#ifndef CGOHEAP_MAP_SLOW_H
#define CGOHEAP_MAP_SLOW_H

#include <sys/types.h>

#include "base/base.h"

void *slow_mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset, uint64_t caller);
int slow_munmap(void *p, size_t n);
void *slow_mremap(void *p, size_t old, size_t new, int flags, void *to, uint64_t caller);
int slow_mprotect(void *p, size_t n, int prot, uint64_t caller);
/* glibc's malloc does not call its sbrk through this hook: these calls are from other code. */
void *slow_sbrk(intptr_t increment, uint64_t caller);
int slow_brk(void *to, uint64_t caller);

#endif
