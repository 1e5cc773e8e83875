/*
 * DWARF expressions, as unwind tables have them: a few operations on a small stack of
 * words.  Nothing is read but through saferead.h, nothing loops, and what is not known
 * here makes the whole fail.
 *
 * Of 599 expressions in 80 installed libraries 498 are "saved at RBP + n" or "the CFA
 * is the word at RBP + n" (functions that realign their stack), the others the one that
 * the linker writes for procedure linkage tables.  breg, lit, deref, plus, and, shl and
 * ge are all they use; their kin is here too.
 *
 * Format: DWARF 5 section 2.5.1.  Async-signal-safe.
 */
#ifndef CGOHEAP_DWARFEXPR_H
#define CGOHEAP_DWARFEXPR_H

#include "base/arch.h"
#include "unwind/dwarfbytes.h"
#include "unwind/saferead.h"

/* The value of DWARF's register number; false: it does not survive calls, and is not known. */
bool dwarfexpr_register(const struct regs *regs, uint64_t number, uint64_t *value);

/* What is on top in the end; *first, where given, is on the stack at the start. */
bool dwarfexpr_run(struct dwarfbytes program, struct saferead *memory, const struct regs *regs,
		   const uint64_t *first, uint64_t *result);

#endif
