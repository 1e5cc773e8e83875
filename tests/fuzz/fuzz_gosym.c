/*
 * Any bytes in the place of Go's symbol tables: functions, inlined calls, files
 * and lines, of the one Go module that there is.
 */
#include <stdlib.h>
#include <string.h>

#include "go/gomodules.h"
#include "go/gosym.h"

#define TABLES 7
#define TEXT   UINT64_C(0x400000)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static struct gomodule module;

struct gomodule *gomodules_at(uint64_t pc)
{
	return pc - module.tables.text < module.tables.etext - module.tables.text ? &module : NULL;
}

uint32_t gomodules_count(void)
{
	return 1;
}

struct gomodule *gomodules_get(uint32_t index)
{
	return &module + index;
}

/* A copy of exactly its length, so that a read past it is seen. */
static struct gotable table(const uint8_t **at, size_t *left, uint16_t len)
{
	size_t n = len < *left ? len : *left;
	uint8_t *copy = malloc(n + (n == 0));

	memcpy(copy, *at, n);
	*at += n;
	*left -= n;
	return (struct gotable){copy, n};
}

static void ask(uint64_t pc)
{
	struct gosym_frame frames[GOSYM_MAX_INLINE];
	struct gosym_func f;

	if (gosym_find(pc, &f) && f.name && strlen(f.name) > UINT16_MAX)
		abort();
	size_t n = gosym_frames(pc, frames, COUNT_OF(frames));
	if (n > COUNT_OF(frames))
		abort();
	for (size_t i = 0; i < n; i++)
		if (strlen(frames[i].function) > UINT16_MAX || strlen(frames[i].file) > UINT16_MAX)
			abort();
}

/* A version, seven lengths of two bytes, then the tables one behind the other. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct gotables *go = &module.tables;
	struct gotable *const tables[TABLES] = {&go->names, &go->cutab, &go->filetab, &go->pctab,
						&go->funcs, &go->ftab,  &go->gofunc};
	uint16_t lens[TABLES];

	if (count < 1 + sizeof(lens))
		return 0;
	go->is_1_20 = bytes[0] & 1;
	memcpy(lens, bytes + 1, sizeof(lens));
	bytes += 1 + sizeof(lens);
	count -= 1 + sizeof(lens);
	go->text = TEXT;
	go->etext = TEXT + 0x10000;
	for (size_t i = 0; i < TABLES; i++)
		*tables[i] = table(&bytes, &count, lens[i]);
	for (uint64_t pc = TEXT; pc < TEXT + 0x200; pc += 7)
		ask(pc);
	ask(TEXT + 0xffff);
	for (size_t i = 0; i < TABLES; i++)
		free((void *)tables[i]->bytes);
	return 0;
}
