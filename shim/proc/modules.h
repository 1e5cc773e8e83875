/*
 * The files mapped executable in this process.  Read at scrape time from
 * /proc/self/maps into scratch; does not take the loader's lock.
 */
#ifndef CGOHEAP_MODULES_H
#define CGOHEAP_MODULES_H

#include "base/base.h"
#include "region/region.h"
#include "proc/elffile.h"

#define BUILD_ID_HEX_BYTES ELFFILE_BUILD_ID_BYTES

struct module {
	uint64_t start, end;  /* one executable mapping, addresses in this process */
	uint64_t file_offset; /* of start, in the file */
	uint64_t load_bias;   /* address in process - address in the ELF file; valid if elf_ok */
	const char *path;     /* as the process sees it; also "[vdso]" and the like */
	uint64_t image, image_end; /* the mapping of the same file at offset 0; 0, 0 unknown */
	uint64_t device, inode;    /* from maps; stat may return others on some file systems */
	bool is_main;              /* the executable */
	bool is_shim;              /* libcgoheap.so itself */
	bool deleted;              /* maps says " (deleted)"; path does not include it */
	bool elf_ok;               /* the file was opened, is the mapped one, and parsed */
	/*
	 * GNU build ID in hex, "" none; known even without the file.  A Go build ID cannot
	 * replace it: pprof compares with the GNU build ID of the file it finds and refuses a
	 * file without one.  Go's own heap profile has none either, so the mappings of the two
	 * profiles would differ.
	 */
	char build_id[BUILD_ID_HEX_BYTES];
};

struct modules {
	struct module *list; /* ascending by start */
	size_t count;
};

/* 0, or -1 (out of scratch, or /proc unreadable: list has what was read). */
int modules_read(struct scratch *scratch, struct modules *out);
const struct module *modules_find(const struct modules *modules, uint64_t address);

/*
 * Opens the module's file for reading if it is still the mapped file; fd or -1.  The
 * main executable is opened through /proc/self/exe, even if it was replaced or deleted.
 * It is the mapped file if device and inode equal those in maps, or if its build ID
 * equals that of the image in memory, or if that has none, its first bytes (on btrfs, and on
 * overlayfs over several file systems, stat and maps return different numbers for one file).
 */
int modules_open(const struct module *module);

#endif
