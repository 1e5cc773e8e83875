/*
 * The files mapped executable in this process, read from /proc/self/maps (no
 * loader lock is taken) at scrape time into scratch.
 */
#ifndef CGOHEAP_MODULES_H
#define CGOHEAP_MODULES_H

#include "base/base.h"
#include "region/region.h"
#include "proc/elffile.h"

#define BUILD_ID_HEX_BYTES ELFFILE_BUILD_ID_BYTES

struct module {
	uint64_t start, end;  /* one executable mapping, addresses in this process */
	uint64_t file_offset; /* of start in the file */
	uint64_t load_bias;   /* address in process - address in the ELF file; valid if elf_ok */
	const char *path;     /* as the process sees it; "[vdso]" and the like too */
	uint64_t image, image_end; /* the mapping of the same file at offset 0; 0, 0 unknown */
	uint64_t device, inode;    /* as maps has them: a file system may tell stat others */
	bool is_main;              /* the executable */
	bool is_shim;              /* libcgoheap.so itself */
	bool deleted;              /* " (deleted)" in maps; path has it taken off */
	bool elf_ok;               /* the file was opened, is the mapped one, and parsed */
	/*
	 * GNU build ID in hex, "" none; known without the file too.  A Go build ID is
	 * no substitute: pprof compares with the GNU one of the file it finds, refuses
	 * a file that has none, and Go's own heap profile has none either, so that the
	 * two profiles' mappings would not be the same.
	 */
	char build_id[BUILD_ID_HEX_BYTES];
};

struct modules {
	struct module *list; /* ascending by start */
	size_t count;
};

/* 0, or -1 (scratch exhausted, or /proc not readable: list is what was read). */
int modules_read(struct scratch *scratch, struct modules *out);
const struct module *modules_find(const struct modules *modules, uint64_t address);

/*
 * Opens the module's file for reading, only if it is the one mapped; fd or -1.
 * The main executable is opened by /proc/self/exe, so a replaced or deleted one
 * too.  It is the one when device and inode are maps', or when its build ID is
 * that of the image in memory (on btrfs, and on overlayfs of older kernels, stat
 * and maps name the same file by different numbers).
 */
int modules_open(const struct module *module);

#endif
