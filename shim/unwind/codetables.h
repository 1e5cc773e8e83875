/*
 * The unwind tables of loaded code: finds the module of a pc, and its FDE there.
 *
 * Tables are read in place.  dlclose waits for readers (a few microseconds), so that it
 * does not unmap the tables they read; while it runs, no reader starts.
 *
 * Any thread, async-signal-safe.
 */
#ifndef CGOHEAP_CODETABLES_H
#define CGOHEAP_CODETABLES_H

#include "base/base.h"
#include "base/loaded.h"
#include "unwind/fde.h"

/* Around all calls up to codetables_fde.  -1: code is being unloaded; do not read, and do not
 * call codetables_end_reading. */
__attribute__((warn_unused_result)) int codetables_begin_reading(void);
void codetables_end_reading(void);

/* The module that contains pc; false: none. */
bool codetables_module(uint64_t pc, struct code_module *out);
/* The readable segment of m that contains address; false: none. */
bool codetables_segment(const struct code_module *m, uint64_t address, uint64_t *start,
			uint64_t *end);
/* The FDE that covers pc; 0: none.  *failed: undecodable. */
uint64_t codetables_fde(const struct code_module *m, uint64_t pc, struct fde_module *tables,
			bool *failed);

/* Counts changes of the loaded code.  Results from another generation are invalid. */
uint32_t codetables_generation(void);
void codetables_changed(void);
/* loaded_update, with its conditions; a new generation if anything changed. */
void codetables_update(void);

/*
 * Around code that may unload a module, in pairs.  Tables are not read in between; the
 * generation changes at the end.
 */
void codetables_unload_begins(void);
void codetables_unload_ends(void);

/* In a forked child: clears what other threads had in progress. */
void codetables_after_fork_in_child(void);

#endif
