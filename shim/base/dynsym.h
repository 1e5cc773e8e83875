/*
 * Finds a function in a loaded module's own symbol table, so that preloads and
 * wrappers of dlsym cannot affect the result.
 */
#ifndef CGOHEAP_DYNSYM_H
#define CGOHEAP_DYNSYM_H

#include "base/base.h"

/*
 * The name's definition in the image with its ELF header at that address (the vDSO). Returns the
 * default version if there are several; NULL for no image, or if it does not define the name or
 * defines it as an indirect function. Reads only the module's memory: the caller must know that
 * it stays loaded. Async-signal-safe.
 */
void *dynsym_find_in_image(const void *header, const char *name);

/*
 * dynsym_next: the first definition after this library in the loader's search order.
 * The others: the definition in libc, and in the loader.  They read the loader's list
 * without its lock, so call them only while the program starts.
 */
void *dynsym_next(const char *name);
void *dynsym_libc(const char *name);
void *dynsym_loader(const char *name);

#endif
