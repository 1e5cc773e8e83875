/* See dwarfbytes.h. */
#include "unwind/dwarfbytes.h"

#include <string.h>

uint64_t dwarfbytes_fixed(struct dwarfbytes *b, size_t n)
{
	uint64_t v = 0;

	if (b->bad || (size_t)(b->end - b->at) < n) {
		b->bad = true;
		return 0;
	}
	memcpy(&v, b->at, n);
	b->at += n;
	return v;
}

uint64_t dwarfbytes_uleb(struct dwarfbytes *b)
{
	uint64_t v = 0;

	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = (uint8_t)dwarfbytes_fixed(b, 1);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80) || b->bad)
			return v;
	}
}

int64_t dwarfbytes_sleb(struct dwarfbytes *b)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)dwarfbytes_fixed(b, 1);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) && !b->bad);
	if (shift < 64 && (byte & 0x40))
		v |= ~UINT64_C(0) << shift;
	return (int64_t)v;
}

struct dwarfbytes dwarfbytes_block(struct dwarfbytes *b)
{
	uint64_t n = dwarfbytes_uleb(b);
	struct dwarfbytes block = {.at = b->at, .end = b->at};

	if (b->bad || n > (uint64_t)(b->end - b->at)) {
		b->bad = true;
		return block;
	}
	b->at += n;
	block.end = b->at;
	return block;
}

void dwarfbytes_skip_block(struct dwarfbytes *b)
{
	(void)dwarfbytes_block(b);
}

uint64_t dwarfbytes_encoded(struct dwarfbytes *b, uint8_t encoding)
{
	uint64_t base = (encoding & 0x70) == DW_EH_PE_pcrel ? (uint64_t)b->at : 0;

	if ((encoding & 0x70) != DW_EH_PE_pcrel && (encoding & 0x70) != 0)
		b->bad = true;
	switch (encoding & 0x0f) {
	case 0x00: /* absptr */
	case 0x04: /* udata8 */
	case 0x0c: /* sdata8 */
		return base + dwarfbytes_fixed(b, 8);
	case 0x03: /* udata4 */
		return base + dwarfbytes_fixed(b, 4);
	case 0x0b: /* sdata4 */
		return base + (uint64_t)(int64_t)(int32_t)dwarfbytes_fixed(b, 4);
	case 0x02: /* udata2 */
		return base + dwarfbytes_fixed(b, 2);
	case 0x0a: /* sdata2 */
		return base + (uint64_t)(int64_t)(int16_t)dwarfbytes_fixed(b, 2);
	default:
		b->bad = true;
		return 0;
	}
}
