/*
 * Names of C functions from an ELF file's .symtab, else .dynsym, at scrape time.
 *
 * Resolves many addresses of one module at once: sorts them and reads the symbol table
 * in one pass.  So no index is kept, and a 100 MB binary costs one sequential read of
 * its symbols.
 */
#ifndef CGOHEAP_ELFSYM_H
#define CGOHEAP_ELFSYM_H

#include "base/base.h"
#include "region/region.h"
#include "proc/modules.h"

struct elfsym {
	uint64_t pc;      /* in: address in this process, inside the call */
	const char *name; /* out: in scratch, as in the file (C++ mangled), without its
			     symbol version ("@GLIBC_2.2.5"); NULL unknown */
	uint64_t entry;   /* out: address of the function in this process */
};

/*
 * Fills name and entry of all queries.  They must be in one module, in any order, which is
 * kept.  For one address it prefers the symbol whose range contains it, then FUNC over
 * NOTYPE, the innermost, global over local, the fewest leading underscores (so "malloc", not
 * "__libc_malloc"), then the shortest name.  A symbol without a size extends to the next
 * symbol.  Addresses between the symbols of a stripped file get no name.
 *
 * Reads the file with pread, within its size and that of scratch.  If the file is malformed,
 * truncated or shrinks meanwhile, fewer names are found; nothing faults.  Returns 0, or -1 if
 * the file could not be opened now or scratch ran out: a later call may find more.
 */
int elfsym_resolve(struct scratch *scratch, const struct module *module, struct elfsym *queries,
		   size_t count);

#endif
