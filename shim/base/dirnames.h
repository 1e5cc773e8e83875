/*
 * The names in a directory, by raw system calls.
 */
#ifndef CGOHEAP_DIRNAMES_H
#define CGOHEAP_DIRNAMES_H

#include "base/base.h"

/*
 * Calls see for at most `most` names in an open directory, from its start, in directory order.
 * On a read error it stops early.  see may remove the name.  Uses 4 KiB of stack.
 */
void dirnames_each(long dir, size_t most, void (*see)(void *arg, long dir, const char *name),
		   void *arg);

#endif
