/*
 * The unwind tables of loaded code: which module a pc lies in, and its FDE there.
 *
 * glibc's lock-free _dl_find_object names the module (since 2.35; before, dl_iterate_phdr,
 * under a lock of the loader's that another thread may hold for a moment).
 *
 * Tables are read where they lie.  So that dlclose does not take them away meanwhile, it
 * waits for readers (a few microseconds); while it runs, no reader begins.
 *
 * All but codetables_init: any thread, async-signal-safe.
 */
#ifndef CGOHEAP_CODETABLES_H
#define CGOHEAP_CODETABLES_H

#include <link.h>

#include "base/base.h"
#include "unwind/fde.h"

/* Once, in the constructor. */
void codetables_init(void);

/* Around all that follows up to codetables_fde.  False: code is being unloaded; do not read, and
 * do not call codetables_end_reading. */
bool codetables_begin_reading(void);
void codetables_end_reading(void);

struct code_module {
	const ElfW(Phdr) * headers;
	size_t count;
	uint64_t bias;
	uint64_t table; /* .eh_frame_hdr; 0: none */
};

/* The module that pc lies in; false: none. */
bool codetables_module(uint64_t pc, struct code_module *out);
/* The readable segment of m that address lies in; false: none. */
bool codetables_segment(const struct code_module *m, uint64_t address, uint64_t *start,
			uint64_t *end);
/* The FDE that covers pc, 0 where there is none; *failed where it does not decode. */
uint64_t codetables_fde(const struct code_module *m, uint64_t pc, struct fde_module *tables,
			bool *failed);

/* Counts changes of the loaded code.  What was read under another generation no longer holds. */
uint32_t codetables_generation(void);
void codetables_changed(void);

/*
 * Around what may unload code, in pairs.  In between tables are not read; at the end the
 * generation changes.
 */
void codetables_unload_begins(void);
void codetables_unload_ends(void);

/* In a child of fork: what other threads were in the middle of is over. */
void codetables_after_fork_in_child(void);

#endif
