/*
 * Finds a function in a loaded module's own symbol table, so that preloads and
 * wrappers of dlsym cannot affect the result.
 */
#ifndef CGOHEAP_DYNSYM_H
#define CGOHEAP_DYNSYM_H

#include <link.h>

#include "base/base.h"

/*
 * The name's definition in the image with its ELF header at that address (the vDSO). Returns the
 * default version if there are several; NULL for no image, or if it does not define the name.
 * Reads only the module's memory: the caller must know that it stays loaded. Async-signal-safe.
 */
void *dynsym_find_in_image(const void *header, const char *name);

/*
 * dynsym_next: the first definition after this library in the loader's search order.
 * dynsym_libc: the definition in the C library: libpthread if it has one, else libc.
 * dynsym_loader: the definition in the loader.
 *
 * Each finds only a default version, and asks an indirect function for its address as the loader
 * does; NULL: none.  They read the loader's list without its lock, so call them only while the
 * process has one thread.
 */
void *dynsym_next(const char *name);
void *dynsym_libc(const char *name);
void *dynsym_loader(const char *name);

struct dynsym_module {
	uint64_t address; /* that was looked for */
	uint64_t start, end, bias;
	const ElfW(Dyn) * dynamic;
};

/* The loaded module that contains the address; 0 or -1.  Takes the loader's lock: never in a
 * hook. */
int dynsym_module(const void *address, struct dynsym_module *out);
/* Its definition of the name.  The caller must know that it stays loaded. */
void *dynsym_find_in_module(const struct dynsym_module *m, const char *name);

#endif
