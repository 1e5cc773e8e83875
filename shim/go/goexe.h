/*
 * Whether an executable is Go's, from its headers alone: a shell or a compiler that
 * a service starts inherits the preload, and may have hundreds of MiB of data, none
 * of which is to be read to find out that it is not for us.
 */
#ifndef CGOHEAP_GOEXE_H
#define CGOHEAP_GOEXE_H

#include <elf.h>

#include "base/base.h"

/*
 * The main executable's program headers in memory, and where its address 0 is.
 * False: it is not Go's.  True: it has Go's note, or Go's sections; or neither can be
 * told (it is stripped of its sections, /proc is not there) and its data is small
 * enough to be searched.  A handful of system calls; constructor.
 */
bool goexe_may_be_go(const Elf64_Phdr *headers, size_t count, uint64_t bias);

/* The same of a library, without a system call: by its note alone, or by at most data_bytes
 * of data to search. */
bool goexe_library_may_be_go(const Elf64_Phdr *headers, size_t count, uint64_t bias,
			     uint64_t data_bytes);

#endif
