/*
 * Steps over C frames, by what pcinfo says of each return address.  Frames that a row
 * cannot express are stepped by cfi_step.
 */
#ifndef CGOHEAP_UNWIND_C_H
#define CGOHEAP_UNWIND_C_H

#include "base/arch.h"
#include "base/base.h"
#include "unwind/capture_end.h"
#include "unwind/pcinfo.h"
#include "unwind/saferead.h"

/*
 * From the frame `regs` is in to its caller's, along `info`.  exact: set when the new ip is
 * an interrupted instruction, not a return address.  0, or the enum capture_end that says
 * why not.
 */
int unwind_c_step(struct saferead *memory, const struct pcinfo *info, struct regs *regs,
		  bool *exact);

#endif
