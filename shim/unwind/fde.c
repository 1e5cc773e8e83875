/* See fde.h. */
#include "unwind/fde.h"

#include "base/search.h"

/* Version 1; .eh_frame's address in 4 bytes (not used here); the count in 4 bytes, unsigned; the
 * entries as signed 4-byte offsets from the table's start.  Every linker writes this form. */
enum { VERSION = 1, ENC_SIGN = 0x08, ENC_UDATA4 = 0x03, ENC_DATAREL_SDATA4 = 0x3b };

#define HEADER_BYTES 12
#define ENTRY_BYTES  8

/* The caller has checked that address is in the module and a multiple of 4. */
static uint32_t word_at(uint64_t address)
{
	return *(const uint32_t *)address;
}

/* The number of entries, at most what fits in the module. */
static int open_table(const struct fde_module *module, uint32_t *count)
{
	if (module->table % 4 || module->table < module->start || module->table >= module->end ||
	    module->end - module->table < HEADER_BYTES)
		return -1;
	uint32_t encodings = word_at(module->table);
	*count = word_at(module->table + 8);
	if ((encodings & 0xff) != VERSION || (encodings >> 8 & 0x0f & ~ENC_SIGN) != ENC_UDATA4 ||
	    (encodings >> 16 & 0xff) != ENC_UDATA4 || encodings >> 24 != ENC_DATAREL_SDATA4)
		return -1;
	return *count <= (module->end - module->table - HEADER_BYTES) / ENTRY_BYTES ? 0 : -1;
}

/* One of the two offsets of entry i, as an address. */
static uint64_t address_in(const struct fde_module *module, uint32_t i, unsigned at)
{
	uint64_t entry = module->table + HEADER_BYTES + (uint64_t)i * ENTRY_BYTES;

	return module->table + (uint64_t)(int64_t)(int32_t)word_at(entry + at);
}

uint64_t fde_find(const struct fde_module *module, uint64_t pc)
{
	uint32_t count;

	if (open_table(module, &count))
		return 0;
	size_t n = SEARCH(count, i, address_in(module, (uint32_t)i, 0) <= pc);
	if (n == 0)
		return 0;
	uint64_t fde = address_in(module, (uint32_t)n - 1, 4);
	return fde >= module->start && fde < module->end ? fde : 0;
}
