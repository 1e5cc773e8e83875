/*
 * The files mapped executable in this process, read from /proc/self/maps (no
 * loader lock is taken) at scrape time into scratch.
 */
#ifndef CGOHEAP_MODULES_H
#define CGOHEAP_MODULES_H

#include "base.h"
#include "region.h"

#define BUILD_ID_HEX_BYTES 65 /* up to 32 bytes in hex, NUL */

struct module {
	uint64_t start, end;  /* one executable mapping, addresses in this process */
	uint64_t file_offset; /* of start in the file */
	uint64_t load_bias;   /* address in process - address in the ELF file; valid if elf_ok */
	const char *path;     /* as the process sees it; "[vdso]" and the like too */
	uint64_t device, inode;
	bool is_main; /* the executable */
	bool is_shim; /* libcgoheap.so itself */
	bool deleted; /* " (deleted)" in maps; path has it taken off */
	bool elf_ok;  /* the file was opened, is the mapped one (device, inode), and parsed */
	char build_id[BUILD_ID_HEX_BYTES]; /* GNU build ID in hex; Go build ID where there is no GNU
					      one; "" none */
};

struct modules {
	struct module *list; /* ascending by start */
	size_t count;
};

/* 0, or -1 (scratch exhausted, or /proc not readable: list is what was read). */
int modules_read(struct scratch *scratch, struct modules *out);
const struct module *modules_find(const struct modules *modules, uint64_t address);

/* Opens the module's file for reading, only if it is the one mapped (the main
 * executable by /proc/self/exe, so a replaced or deleted one too); fd or -1. */
int modules_open(const struct module *module);

#endif
