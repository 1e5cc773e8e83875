/*
 * Whether an executable is a Go program, from its headers alone.  Shells and compilers that
 * a service starts inherit the preload and may have hundreds of MiB of data, which must
 * not be searched.
 */
#ifndef CGOHEAP_GOEXE_H
#define CGOHEAP_GOEXE_H

#include <elf.h>

#include "base/base.h"

/*
 * headers: the main executable's program headers in memory; bias: its load bias.  False:
 * not Go.  True: it has Go's note or sections; or both are unavailable (sections stripped,
 * no /proc) and its data is small enough to search.  Makes a few system calls; only in the
 * constructor.
 */
bool goexe_may_be_go(const Elf64_Phdr *headers, size_t count, uint64_t bias);

/* The same for a library, without system calls: true if it has the note, or at most data_bytes of
 * data to search. */
bool goexe_library_may_be_go(const Elf64_Phdr *headers, size_t count, uint64_t bias,
			     uint64_t data_bytes);

#endif
