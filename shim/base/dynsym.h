/*
 * A function that a loaded module defines, by the module's own tables: what no
 * preload can stand in for, and no wrapper of dlsym can mislead about.
 */
#ifndef CGOHEAP_DYNSYM_H
#define CGOHEAP_DYNSYM_H

#include <link.h>

#include "base/base.h"

/*
 * bias: what the module's addresses are moved by; dynamic: its dynamic section.
 * The default version where there are several.  NULL: not defined there, or an
 * indirect function.  Reads the module's memory alone: the caller knows that it
 * stays loaded.  Async-signal-safe.
 */
void *dynsym_find(uint64_t bias, const ElfW(Dyn) * dynamic, const char *name);

/* The same for an image whose ELF header lies there (the vDSO).  NULL too where there is none. */
void *dynsym_find_in_image(const void *header, const char *name);

/*
 * The first definition behind the module of ours in the order that the loader
 * searches.  And libc's own, and the loader's.  The loader's list is read without its
 * lock: while the program starts.
 */
void *dynsym_next(const char *name);
void *dynsym_libc(const char *name);
void *dynsym_loader(const char *name);

#endif
