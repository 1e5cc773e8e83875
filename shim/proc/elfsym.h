/*
 * Names of C functions from an ELF file's .symtab, else .dynsym, at scrape time.
 *
 * Works on many addresses of one module at once: they are sorted and the symbol
 * table is read in one pass, so that no index is kept and a 100 MB binary costs
 * one sequential read of its symbols.
 */
#ifndef CGOHEAP_ELFSYM_H
#define CGOHEAP_ELFSYM_H

#include "base/base.h"
#include "region/region.h"
#include "proc/modules.h"

struct elfsym {
	uint64_t pc;      /* in: address in this process, inside the call */
	const char *name; /* out: in scratch, as in the file (C++ mangled); NULL unknown.
			     A symbol version ("@GLIBC_2.2.5") is taken off. */
	uint64_t entry;   /* out: address of the function in this process */
};

/*
 * Fills name and entry of all queries (any order in and kept; all in one module).
 * Prefers, for one address: the symbol whose range holds it, FUNC over NOTYPE,
 * the innermost, global over local, fewest leading underscores (so "malloc", not
 * "__libc_malloc"), then the shortest name.  A symbol without a size stands for
 * what follows it up to the next symbol.  What lies between the symbols of a
 * stripped file has no name.
 *
 * The file is read with pread, within its size and that of scratch; one that is
 * malformed, truncated or shrinks meanwhile gives fewer names, never a fault.
 */
void elfsym_resolve(struct scratch *scratch, const struct module *module, struct elfsym *queries,
		    size_t count);

#endif
