/*
 * Steps over C frames, using pcinfo for each return address.  cfi_step handles frames that
 * a row cannot express.
 */
#ifndef CGOHEAP_UNWIND_C_H
#define CGOHEAP_UNWIND_C_H

#include "base/arch.h"
#include "base/base.h"
#include "unwind/capture_end.h"
#include "unwind/pcinfo.h"
#include "unwind/saferead.h"

/*
 * Changes `regs` from a frame's registers to its caller's, using `info`.  exact: set if the
 * new ip is an interrupted instruction, not a return address.  0, or an enum capture_end
 * that says why it failed.
 */
int unwind_c_step(struct saferead *memory, const struct pcinfo *info, struct regs *regs,
		  bool *exact);

#endif
