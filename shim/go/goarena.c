/*
 * A set of chunk numbers, eight per cache line: a look-up touches one line.  With 16384
 * slots it holds a whole heap of 64 GiB, and most of a larger one.
 */
#include "go/goarena.h"

#include "base/hash.h"

#define CHUNK_BITS 22
#define LINE_BITS  11
#define LINE_SLOTS 8

static uint32_t lines[1 << LINE_BITS][LINE_SLOTS] __attribute__((aligned(64))); /* 0: free */

/* The range of all chunks ever noted: most of what is unmapped is outside. */
static uint64_t first = UINT64_MAX, last; /* chunks */

static uint32_t *line_of(uint64_t chunk)
{
	return lines[hash_spread(chunk) >> (64 - LINE_BITS)];
}

static bool is_noted(uint64_t chunk)
{
	const uint32_t *line = line_of(chunk);

	for (size_t i = 0; i < LINE_SLOTS; i++)
		if (LOAD(&line[i]) == (uint32_t)chunk)
			return true;
	return false;
}

static void note(uint32_t chunk)
{
	uint32_t *line = line_of(chunk);

	for (size_t i = 0; i < LINE_SLOTS && !is_noted(chunk); i++) {
		uint32_t free = 0;
		__atomic_compare_exchange_n(&line[i], &free, chunk, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	}
}

/* Clears all slots of the chunk: two threads may have added it at once. */
static void forget(uint32_t chunk)
{
	uint32_t *line = line_of(chunk);

	for (size_t i = 0; i < LINE_SLOTS; i++) {
		uint32_t was = chunk;
		__atomic_compare_exchange_n(&line[i], &was, 0, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	}
}

/* User-space addresses have 47 or 48 bits, so chunk numbers have 25 or 26. */
static uint64_t chunk_of(uint64_t address)
{
	return address >> CHUNK_BITS;
}

void goarena_note(uint64_t start, uint64_t end)
{
	uint64_t from = chunk_of(start + GOARENA_CHUNK_BYTES - 1), to = chunk_of(end);

	if (end < start || to > UINT32_MAX || from >= to)
		return;
	lower_to(&first, from);
	raise_to(&last, to - 1);
	for (uint64_t chunk = from; chunk < to; chunk++)
		note((uint32_t)chunk);
}

void goarena_forget(uint64_t start, uint64_t end)
{
	uint64_t from = chunk_of(start), to = chunk_of(end - 1);

	if (end <= start)
		return;
	if (from < LOAD(&first))
		from = LOAD(&first);
	if (to > LOAD(&last))
		to = LOAD(&last);
	for (uint64_t chunk = from; chunk <= to; chunk++)
		forget((uint32_t)chunk);
}

bool goarena_holds(uint64_t address, uint64_t bytes)
{
	uint64_t from = chunk_of(address), to = chunk_of(address + bytes - 1);

	if (unlikely(bytes == 0 || address + bytes < address || to > UINT32_MAX || from == 0))
		return false;
	for (; from <= to; from++)
		if (!is_noted(from))
			return false;
	return true;
}
