/*
 * Which FDE describes a pc: the search in .eh_frame_hdr's sorted table (LSB Core
 * 5.0, section 10.6.2).
 *
 * libunwind has one too, but believes what it reads: a table that does not fit
 * the module it lies in faults, and a pc that it does not list is looked for in
 * all of .eh_frame, to a terminator that may not be there.  Here nothing is read
 * outside of the module, and what the table does not list has no FDE.
 */
#ifndef CGOHEAP_FDE_H
#define CGOHEAP_FDE_H

#include "base/base.h"

/*
 * The stretch [start, end) of a module that can be read and has its unwind tables in it
 * (every linker puts them into one segment), and where in it .eh_frame_hdr begins.
 * The caller sees to it that the module is not unloaded meanwhile.
 */
struct fde_module {
	uint64_t table, start, end;
};

/*
 * The address of the last FDE that begins at or below pc, which may end below it
 * too; 0: there is none, or no table that can be searched.  Async-signal-safe.
 */
uint64_t fde_find(const struct fde_module *module, uint64_t pc);

#endif
