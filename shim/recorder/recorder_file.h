/* The recorder's file: made, allocated, mapped and locked; and old ones removed. */
#ifndef CGOHEAP_RECORDER_FILE_H
#define CGOHEAP_RECORDER_FILE_H

#include "base/base.h"
#include "base/ownfd.h"

#define RECORDER_NAME_BYTES     128
#define RECORDER_PROGRAM_SUFFIX ".exe"

/* Of a file that is no mapping: what it is written through. */
struct recorder_file {
	struct own_fd own; /* .fd -1: it is mapped */
	char path[512];
};

struct recorder_place {
	const char *dir;
	const char *name; /* without suffix; where it is taken, a number follows it */
	/*
	 * For a leak check: what is mapped is exact to the last instruction on any file system, at
	 * the price of waiting for it.  Older files stay, and a file that cannot be used stays,
	 * empty: the reader shall know that there was a process.  A link to the program is made
	 * beside the file, with RECORDER_PROGRAM_SUFFIX after its name, if both are in one file
	 * system.
	 */
	bool is_final;
};

/*
 * A new file of so many bytes.  In a file system in memory, and for a leak check, it is
 * mapped, shared; else the memory is anonymous, zeroed, and *file is where it is to be
 * written to (recorder_disk.h).  NULL: *what was tried ("open the directory") and *error
 * say why not; nothing is left behind, or for a leak check an empty file.
 */
void *recorder_file_map(const struct recorder_place *place, size_t bytes,
			struct recorder_file *file, const char **what, long *error);

/* The program's file name and pid as a file name: what is not [A-Za-z0-9._-] becomes "_". */
void recorder_file_name(char out[RECORDER_NAME_BYTES], const char *executable, int pid);

#endif
