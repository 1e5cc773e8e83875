/* See fde.h. */
#include "fde.h"

#include "memory.h"

/* Version 1; .eh_frame's address in 4 bytes (not used here); the count in 4 bytes, unsigned; the
 * table's entries as signed 4-byte distances from its own start.  Every linker writes these. */
enum { VERSION = 1, ENC_SIGN = 0x08, ENC_UDATA4 = 0x03, ENC_DATAREL_SDATA4 = 0x3b };

#define HEADER_BYTES 12
#define ENTRY_BYTES  8

/* The 4-byte word at an address that 4 divides. */
static bool read_word(struct memory *memory, uint64_t address, uint32_t *out)
{
	uint64_t word;

	if (!memory_read(memory, address & ~UINT64_C(7), &word))
		return false;
	*out = (uint32_t)(word >> (address & 4) * 8);
	return true;
}

/* How many entries there are, no more than the module has room for. */
static bool open_table(struct memory *memory, const struct fde_module *module, uint32_t *count)
{
	uint32_t encodings;

	if (module->table % 4 || module->table < module->start || module->table >= module->end ||
	    module->end - module->table < HEADER_BYTES)
		return false;
	if (!read_word(memory, module->table, &encodings) ||
	    !read_word(memory, module->table + 8, count))
		return false;
	return (encodings & 0xff) == VERSION && (encodings >> 8 & 0x0f & ~ENC_SIGN) == ENC_UDATA4 &&
	       (encodings >> 16 & 0xff) == ENC_UDATA4 && encodings >> 24 == ENC_DATAREL_SDATA4 &&
	       *count <= (module->end - module->table - HEADER_BYTES) / ENTRY_BYTES;
}

static bool read_distance(struct memory *memory, const struct fde_module *module, uint64_t offset,
			  uint64_t *out)
{
	uint32_t distance;

	if (!read_word(memory, module->table + HEADER_BYTES + offset, &distance))
		return false;
	*out = module->table + (uint64_t)(int64_t)(int32_t)distance;
	return true;
}

uint64_t fde_find(const struct fde_module *module, uint64_t pc)
{
	struct memory memory;
	uint32_t low = 0,
		 high; /* entries below low begin at or below pc, those from high on above */
	uint64_t begins, fde;

	memory_init(&memory, NULL, UINT64_MAX);
	if (!open_table(&memory, module, &high))
		return 0;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (!read_distance(&memory, module, (uint64_t)middle * ENTRY_BYTES, &begins))
			return 0;
		if (begins <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 ||
	    !read_distance(&memory, module, (uint64_t)(low - 1) * ENTRY_BYTES + 4, &fde))
		return 0;
	return fde >= module->start && fde < module->end ? fde : 0;
}
