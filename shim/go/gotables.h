/*
 * Finds Go's symbol tables in the memory of the program that they describe.
 *
 * Section headers and symbols may be stripped, and the tables' sections move between
 * releases (.gopclntab, .data.rel.ro, .go.module).  So the search starts from the program
 * headers: it recognises runtime.firstmoduledata in the writable data by its shape, and
 * that has the start and length of each table.
 *
 * No pointer is ever formed from an unchecked offset: all reads go through
 * `struct gotable`, which knows its length.  That costs a compare per read, and lets a
 * hook, a signal handler or a fuzzer ask about any pc.
 */
#ifndef CGOHEAP_GOTABLES_H
#define CGOHEAP_GOTABLES_H

#include <elf.h>
#include <string.h>

#include "base/base.h"

struct gotable {
	const uint8_t *bytes;
	uint64_t len;
};

#define GOTABLES_SEGMENTS 8

struct gotables {
	uint64_t text, etext; /* 0, 0: not found */
	bool is_1_20;         /* the layout of functions and inlined calls since Go 1.20 */
	struct gotable names, cutab, filetab, pctab, funcs, ftab, gofunc;
	char version[64]; /* "go1.26.8"; "" unknown */
	/* The parts of the module that stay mapped and readable. */
	struct gotable segments[GOTABLES_SEGMENTS];
};

/* The main executable's tables.  False: none, or of an unknown release (not 1.18 to 1.27). */
bool gotables_find(struct gotables *out);

/* The tables of a loaded library, from its program headers and load bias. */
bool gotables_find_in(const Elf64_Phdr *headers, size_t count, uint64_t bias, struct gotables *out);

/* The offset of this whole name in the names.  Reads all of them: too slow for every sample. */
#define GOTABLES_NONE UINT32_MAX
uint32_t gotables_name(const struct gotables *t, const char *name);

/* Whether all of the bytes are in one of the module's segments. */
static inline bool gotables_hold(const struct gotables *t, uint64_t address, uint64_t bytes)
{
	for (size_t i = 0; i < GOTABLES_SEGMENTS; i++) {
		uint64_t at = address - (uint64_t)t->segments[i].bytes;
		if (at < t->segments[i].len)
			return bytes <= t->segments[i].len - at;
	}
	return false;
}

static inline bool gotable_u32(const struct gotable *t, uint64_t offset, uint32_t *out)
{
	if (offset > t->len || t->len - offset < sizeof(*out))
		return false;
	memcpy(out, t->bytes + offset, sizeof(*out));
	return true;
}

/* The string at offset; NULL unless its terminator is in the table. */
static inline const char *gotable_string(const struct gotable *t, uint64_t offset)
{
	if (offset >= t->len || (offset > 0 && t->bytes[offset - 1] != 0))
		return NULL;
	const uint8_t *s = t->bytes + offset;
	return memchr(s, 0, t->len - offset) != NULL ? (const char *)s : NULL;
}

static inline bool gotable_varint(const struct gotable *t, uint64_t *offset, uint32_t *out)
{
	uint32_t value = 0;
	for (unsigned shift = 0; shift < 32 && *offset < t->len; shift += 7) {
		uint8_t byte = t->bytes[(*offset)++];
		value |= (uint32_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*out = value;
			return true;
		}
	}
	return false;
}

#endif
