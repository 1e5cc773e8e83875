/*
 * The entries of .eh_frame: FDEs, each for a range of code, and the CIEs that they share.
 * Every byte is checked against the module's readable range.
 */
#ifndef CGOHEAP_CFI_ENTRY_H
#define CGOHEAP_CFI_ENTRY_H

#include "base/base.h"
#include "unwind/dwarfbytes.h"
#include "unwind/fde.h"

struct cfi_cie {
	uint64_t code_align;
	int64_t data_align;
	uint8_t pointer_encoding;
	bool is_signal;
	bool has_augmentation_length;
	struct dwarfbytes instructions;
};

struct cfi_fde {
	struct cfi_cie cie;
	uint64_t start, bytes; /* of the code */
	struct dwarfbytes instructions;
};

/* Opens the FDE whose length field is at address, with its CIE; -1: undecodable. */
int cfi_entry_open(const struct fde_module *module, uint64_t address, struct cfi_fde *fde);

/* Whether the FDE at address covers pc: 1 yes, 0 no, -1 undecodable. */
int cfi_covers(const struct fde_module *module, uint64_t address, uint64_t pc);

#endif
