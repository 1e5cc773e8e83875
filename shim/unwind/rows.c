/* See rows.h. */
#include "unwind/rows.h"

#include <assert.h>

#define PROBES 8

/* Keys without an address: a slot being written, and one whose row has been forgotten. */
enum { CLAIMED = 1, FORGOTTEN = 2 };

static uint64_t changes;

uint64_t rows_changes(void)
{
	return LOAD_ACQ(&changes);
}

/* ---- slots ------------------------------------------------------------- */

/* The largest power of two that fits; at most 2^20, so that bits 20 to 43 of the product, which
 * all of an address's low bits reach, choose the slot. */
struct rows rows_open(void)
{
	static const struct row_slot none;
	size_t n = LOAD_ACQ(&region) ? region_layout.rows.bytes / sizeof(struct row_slot) : 0;

	if (n == 0)
		return (struct rows){&none, 0};
	n = (size_t)1 << (63 - __builtin_clzll(n));
	return (struct rows){region_at(region_layout.rows.offset), (n - 1) * sizeof(none)};
}

static struct row_slot *probe(struct rows rows, uint64_t ip, unsigned i)
{
	uint64_t first = (uint64_t)((const char *)rows_slot(rows, ip) - (const char *)rows.slots);

	return (struct row_slot *)((char *)(uintptr_t)rows.slots +
				   ((first + i * sizeof(struct row_slot)) & rows.mask));
}

/* ---- reading ----------------------------------------------------------- */

int rows_find(uint64_t ip, uint64_t key, uint64_t *row)
{
	struct rows rows = rows_open();
	uint64_t before = rows_changes();

	for (unsigned i = 0; i < PROBES; i++) {
		const struct row_slot *slot = probe(rows, ip, i);
		uint64_t found = LOAD_ACQ(&slot->key);
		if (found == 0)
			return -1;
		if (found == key) {
			*row = LOAD_ACQ(&slot->row);
			return rows_changes() == before ? 0 : -1;
		}
	}
	return -1;
}

/* ---- writing ----------------------------------------------------------- */

/* found: the slot's key.  -1: another thread was faster. */
static int claim(struct row_slot *slot, uint64_t found)
{
	bool was_used = found != 0;

	if (found == CLAIMED || !__atomic_compare_exchange_n(&slot->key, &found, CLAIMED, false,
							     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return -1;
	if (was_used)
		__atomic_fetch_add(&changes, 1, __ATOMIC_RELEASE);
	return 0;
}

static bool is_spare(uint64_t key, uint64_t current_tag)
{
	uint64_t tag = key >> ROWS_ADDRESS_BITS << ROWS_ADDRESS_BITS;

	return key == 0 || key == FORGOTTEN || (tag != 0 && tag != current_tag);
}

static void store(struct row_slot *slot, uint64_t key, uint64_t row)
{
	STORE_REL(&slot->row, row);
	STORE_REL(&slot->key, key);
}

/* Counts evictions, to choose the next victim: any will do. */
static uint32_t victims;

void rows_put(uint64_t ip, uint64_t key, uint64_t row, uint64_t current_tag)
{
	struct rows rows = rows_open();
	struct row_slot *slot;

	if (rows.mask == 0)
		return;
	for (unsigned i = 0; i < PROBES; i++) {
		slot = probe(rows, ip, i);
		uint64_t found = LOAD_ACQ(&slot->key);
		if (found == key)
			return;
		if (is_spare(found, current_tag) && claim(slot, found) == 0)
			return store(slot, key, row);
	}
	slot = probe(rows, ip, ADD(&victims, 1) % PROBES);
	if (claim(slot, LOAD_ACQ(&slot->key)) == 0)
		store(slot, key, row);
}

/* A slot that was used never looks unused again: filling it counts as a change. */
void rows_forget(void)
{
	struct rows rows = rows_open();
	size_t count = rows.mask / sizeof(struct row_slot) + 1;
	struct row_slot *slots = (struct row_slot *)(uintptr_t)rows.slots;

	for (size_t i = 0; i < count && rows.mask; i++) {
		uint64_t found = LOAD_ACQ(&slots[i].key);
		if (found >> ROWS_ADDRESS_BITS != 0 && claim(&slots[i], found) == 0)
			STORE_REL(&slots[i].key, FORGOTTEN);
	}
}
