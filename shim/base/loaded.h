/*
 * The loaded module that contains an address.
 *
 * glibc's lock-free _dl_find_object finds it (since 2.35; before, dl_iterate_phdr, under a loader
 * lock that another thread may hold briefly).
 */
#ifndef CGOHEAP_LOADED_H
#define CGOHEAP_LOADED_H

#include <link.h>

#include "base/base.h"

struct code_module {
	const ElfW(Phdr) * headers;
	size_t count;
	uint64_t bias;
	uint64_t table; /* .eh_frame_hdr; 0: none */
};

/* Once, in the constructor. */
void loaded_init(void);

/* False: none, or its program headers are not where every linker puts them.  What is returned
 * lasts as long as the module.  Any thread, async-signal-safe. */
bool loaded_find(uint64_t address, struct code_module *out);

#endif
