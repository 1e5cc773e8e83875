/*
 * Evaluates DWARF expressions from unwind tables: a few operations on a small stack of
 * words.  Memory is read only through saferead.h, there are no loops, and an unknown
 * operation makes the whole expression fail.
 *
 * Of 599 expressions in 80 installed libraries, 498 are "saved at RBP + n" or "the CFA is
 * the word at RBP + n" (functions that realign their stack).  The others are the one that
 * the linker writes for procedure linkage tables.  They use only breg, lit, deref, plus,
 * and, shl and ge; related operations are implemented too.
 *
 * Format: DWARF 5 section 2.5.1.  Async-signal-safe.
 */
#ifndef CGOHEAP_DWARFEXPR_H
#define CGOHEAP_DWARFEXPR_H

#include "base/arch.h"
#include "unwind/dwarfbytes.h"
#include "unwind/saferead.h"

/* The register with this DWARF number; false: unknown, because it does not survive calls. */
bool dwarfexpr_register(const struct regs *regs, uint64_t number, uint64_t *value);

/* *result: the top of the stack at the end.  *first, if given, is on the stack at the start. */
int dwarfexpr_run(struct dwarfbytes program, struct saferead *memory, const struct regs *regs,
		  const uint64_t *first, uint64_t *result);

#endif
