/*
 * Reads DWARF numbers from a run of bytes, front to back: LEB128, fixed sizes, and the
 * pointer encodings of .eh_frame.  Reads past the end return 0 and set `bad`, so a reader
 * checks it once, when it is done.
 *
 * Format: DWARF 5 section 7.6, LSB Core 5.0 section 10.5 (DW_EH_PE_*).
 * Async-signal-safe.
 */
#ifndef CGOHEAP_DWARFBYTES_H
#define CGOHEAP_DWARFBYTES_H

#include "base/base.h"

enum { DW_EH_PE_absptr = 0x00, DW_EH_PE_pcrel = 0x10, DW_EH_PE_omit = 0xff };

struct dwarfbytes {
	const uint8_t *at, *end;
	bool bad;
};

uint64_t dwarfbytes_fixed(struct dwarfbytes *b, size_t n); /* little-endian; n at most 8 */
uint64_t dwarfbytes_uleb(struct dwarfbytes *b);
int64_t dwarfbytes_sleb(struct dwarfbytes *b);
/* A length and that many bytes, which are skipped in b. */
struct dwarfbytes dwarfbytes_block(struct dwarfbytes *b);
void dwarfbytes_skip_block(struct dwarfbytes *b);
/* A pointer in one of the encodings that compilers emit on amd64; others set bad. */
uint64_t dwarfbytes_encoded(struct dwarfbytes *b, uint8_t encoding);

#endif
