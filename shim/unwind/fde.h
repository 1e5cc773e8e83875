/*
 * Finds the FDE for a pc in .eh_frame_hdr's sorted table (LSB Core 5.0, section 10.6.2).
 *
 * libunwind's search trusts the table: one that does not fit its module makes it fault,
 * and for a pc that is not listed it scans all of .eh_frame up to a terminator that may
 * be missing.  This one reads nothing outside the module, and a pc that the table does
 * not list has no FDE.
 */
#ifndef CGOHEAP_FDE_H
#define CGOHEAP_FDE_H

#include "base/base.h"

/*
 * The readable range [start, end) of a module that contains its unwind tables (every linker puts
 * them into one segment), and the start of .eh_frame_hdr in it.  The caller must keep the
 * module loaded.
 */
struct fde_module {
	uint64_t table, start, end;
};

/*
 * The address of the last FDE that begins at or below pc; it may also end below pc.  0: none,
 * or no searchable table.  Async-signal-safe.
 */
uint64_t fde_find(const struct fde_module *module, uint64_t pc);

#endif
