/* The recorder's file: made, allocated, mapped and locked; and old ones removed. */
#ifndef CGOHEAP_RECORDER_FILE_H
#define CGOHEAP_RECORDER_FILE_H

#include "base/base.h"
#include "base/ownfd.h"

#define RECORDER_NAME_BYTES 128

/* Of a file that is no mapping: what it is written through. */
struct recorder_file {
	struct own_fd own; /* .fd -1: it is mapped */
	char path[512];
};

/*
 * A new file of so many bytes in dir.  name: what it is called, without suffix and,
 * where that is taken, with a number after it.  In a file system in memory it is
 * mapped, shared; on any other the memory is anonymous, zeroed, and *file is where it
 * is to be written to (recorder_disk.h).  NULL: *what was tried ("open the directory")
 * and *error say why not; nothing is left behind.
 */
void *recorder_file_map(const char *dir, const char *name, size_t bytes, struct recorder_file *file,
			const char **what, long *error);

/* The program's file name and pid as a file name: what is not [A-Za-z0-9._-] becomes "_". */
void recorder_file_name(char out[RECORDER_NAME_BYTES], const char *executable, int pid);

#endif
