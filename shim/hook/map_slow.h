/*
 * The slow halves of the hooks of the mmap family: the real call, and what the table of mappings
 * records of it (mappings.h explains the order).
 *
 * When C code maps, calls sbrk, or makes reserved memory usable, its stack is captured, up to
 * 1,000 times a second after a burst of 4,096. Beyond that, and if the thread is already inside
 * the shim, the site is the caller alone. So the hooks cost a program at most half a percent of
 * one processor however fast it maps, and no byte is missing from the profile.
 *
 * The shim is active. caller: the hook's return address. errno as the real call left it.
 */
#ifndef CGOHEAP_MAP_SLOW_H
#define CGOHEAP_MAP_SLOW_H

#include <sys/types.h>

#include "base/arch.h"
#include "base/base.h"
#include "record/stacks.h"

void *slow_mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset, uint64_t caller);
int slow_munmap(void *p, size_t n);
void *slow_mremap(void *p, size_t old, size_t new, int flags, void *to, uint64_t caller);
int slow_mprotect(void *p, size_t n, int prot, uint64_t caller);
/* glibc's malloc does not call its sbrk through this hook: these calls are from other code. */
void *slow_sbrk(intptr_t increment, uint64_t caller);
int slow_brk(void *to, uint64_t caller);

/* The site for the caller of leaf: with its stack if it may be captured now, otherwise with
 * the caller alone. 0: no room. host: recstack.h. Call under a pin (pins.h), and hold it
 * until the site is stored. */
uint32_t map_slow_site(const struct regs *host, uint64_t size, enum origin origin, uint64_t leaf,
		       uint64_t caller);

#endif
