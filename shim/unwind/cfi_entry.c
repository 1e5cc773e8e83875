/* See cfi_entry.h. */
#include "unwind/cfi_entry.h"

#include "unwind/cfi_register.h"

#include <string.h>

#define MAX_ENTRY_BYTES ((uint64_t)1 << 20) /* longer than any real CIE or FDE */

/* Checks a range from the tables, which may be damaged. */
static bool is_in(const struct fde_module *module, uint64_t address, uint64_t bytes)
{
	return address >= module->start && address < module->end && bytes <= module->end - address;
}

/* Opens the body of the CIE or FDE whose length field is at address. */
static int open_entry(const struct fde_module *module, uint64_t address, struct dwarfbytes *out)
{
	uint32_t length32;

	if (!is_in(module, address, 12))
		return -1;
	memcpy(&length32, (const void *)address, sizeof(length32));
	address += 4;
	uint64_t length = length32;
	if (length32 == UINT32_MAX) {
		memcpy(&length, (const void *)address, sizeof(length));
		address += 8;
	}
	if (length == 0 || length > MAX_ENTRY_BYTES || !is_in(module, address, length))
		return -1;
	*out = (struct dwarfbytes){.at = (const uint8_t *)address,
				   .end = (const uint8_t *)address + length};
	return 0;
}

static void parse_augmentation(struct dwarfbytes *b, const char *augmentation, struct cfi_cie *cie)
{
	uint64_t length = dwarfbytes_uleb(b);

	if (b->bad || length > (uint64_t)(b->end - b->at)) {
		b->bad = true;
		return;
	}
	struct dwarfbytes data = (struct dwarfbytes){.at = b->at, .end = b->at + length};
	b->at += length;
	for (const char *c = augmentation + 1; *c && !data.bad; c++) {
		uint8_t encoding;
		switch (*c) {
		case 'R':
			cie->pointer_encoding = (uint8_t)dwarfbytes_fixed(&data, 1);
			break;
		case 'L':
			(void)dwarfbytes_fixed(&data, 1);
			break;
		case 'P':
			encoding = (uint8_t)dwarfbytes_fixed(&data, 1);
			(void)dwarfbytes_encoded(&data, encoding & 0x7f);
			break;
		case 'S':
			cie->is_signal = true;
			break;
		default:
			return; /* the rest is unknown, but its length is known */
		}
	}
	b->bad |= data.bad;
}

static int parse_cie(const struct fde_module *module, uint64_t address, struct cfi_cie *cie)
{
	struct dwarfbytes b;

	*cie = (struct cfi_cie){.pointer_encoding = DW_EH_PE_absptr};
	if (open_entry(module, address, &b) || dwarfbytes_fixed(&b, 4) != 0)
		return -1;
	uint8_t version = (uint8_t)dwarfbytes_fixed(&b, 1);
	if (version != 1 && version != 3)
		return -1;
	const char *augmentation = (const char *)b.at;
	while (dwarfbytes_fixed(&b, 1) != 0)
		continue;
	cie->code_align = dwarfbytes_uleb(&b);
	cie->data_align = dwarfbytes_sleb(&b);
	if ((version == 1 ? dwarfbytes_fixed(&b, 1) : dwarfbytes_uleb(&b)) != CFI_RETURN_ADDRESS ||
	    b.bad)
		return -1;
	if (augmentation[0] == 'z') {
		cie->has_augmentation_length = true;
		parse_augmentation(&b, augmentation, cie);
	} else if (augmentation[0] != '\0') {
		return -1;
	}
	cie->instructions = b;
	return b.bad ? -1 : 0;
}

int cfi_entry_open(const struct fde_module *module, uint64_t address, struct cfi_fde *fde)
{
	struct dwarfbytes *b = &fde->instructions;

	if (open_entry(module, address, &fde->instructions))
		return -1;
	uint64_t cie_pointer_at = (uint64_t)b->at;
	uint64_t cie_distance = dwarfbytes_fixed(b, 4);
	if (cie_distance == 0 || parse_cie(module, cie_pointer_at - cie_distance, &fde->cie))
		return -1;
	fde->start = dwarfbytes_encoded(b, fde->cie.pointer_encoding);
	fde->bytes = dwarfbytes_encoded(b, fde->cie.pointer_encoding & 0x0f);
	if (fde->cie.has_augmentation_length)
		dwarfbytes_skip_block(b);
	return b->bad ? -1 : 0;
}

int cfi_covers(const struct fde_module *module, uint64_t address, uint64_t pc)
{
	struct cfi_fde fde;

	if (cfi_entry_open(module, address, &fde))
		return -1;
	return pc - fde.start < fde.bytes;
}
