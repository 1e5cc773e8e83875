/* The flight recorder's file: made, allocated, mapped and locked; and old ones removed. */
#ifndef CGOHEAP_BLACKBOX_FILE_H
#define CGOHEAP_BLACKBOX_FILE_H

#include "base.h"

#define BLACKBOX_NAME_BYTES 128

/*
 * A new file of so many bytes in dir, mapped shared.  name: what it is called,
 * without suffix and, where that is taken, with a number after it.  NULL: *what was
 * tried ("open the directory") and *error say why not; nothing is left behind.
 */
void *blackbox_file_map(const char *dir, const char *name, size_t bytes, const char **what,
			long *error);

/* The program's file name and pid as a file name: what is not [A-Za-z0-9._-] becomes "_". */
void blackbox_file_name(char out[BLACKBOX_NAME_BYTES], const char *executable, int pid);

#endif
