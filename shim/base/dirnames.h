/*
 * The names in a directory, by raw system calls.
 */
#ifndef CGOHEAP_DIRNAMES_H
#define CGOHEAP_DIRNAMES_H

#include "base/base.h"

/*
 * Calls see for the names in an open directory, from its first on, in the order in which it has
 * them; for `most` of them at most.  What cannot be read has no names.  see may remove the name.
 * 4 KiB of stack.
 */
void dirnames_each(long dir, size_t most, void (*see)(void *arg, long dir, const char *name),
		   void *arg);

#endif
