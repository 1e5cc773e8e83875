/*
 * The table of rows in the region: 16 bytes for each return address seen, a key and a row (row.h).
 *
 * The key has the return address and above it a tag of the loaded code's generation, so a row of
 * code that was unloaded is not found.  Go code is never unloaded: its tag is 0.
 *
 * A row is read with two loads.  Where a full neighbourhood makes room for another address, a
 * reader might get that one's row for its own key.  So each change of a slot in use is counted,
 * between taking the old key away and storing the new row.  A reader that asked for rows_changes()
 * after that finds no old key; one that gets the new row finds that they have changed since it
 * asked.  So whoever finds rows_changes() as it was before, has read what belonged together.
 *
 * All functions: any thread, lock-free, async-signal-safe.
 */
#ifndef CGOHEAP_ROWS_H
#define CGOHEAP_ROWS_H

#include "base/arch.h"
#include "base/base.h"
#include "region/region.h"

struct row_slot {
	uint64_t key; /* 0: never used */
	uint64_t row;
};

#define ROWS_ADDRESS_BITS ARCH_ADDRESS_BITS
#define ROWS_TAGS         0xffff /* tags that code which can be unloaded goes through */

/* Only possible code addresses have a key. */
static inline bool rows_may_hold(uint64_t ip)
{
	return ip > PAGE_BYTES && ip >> ROWS_ADDRESS_BITS == 0;
}

/* What to add to a return address in C code. */
static inline uint64_t rows_tag(uint32_t generation)
{
	return (uint64_t)(1 + generation % ROWS_TAGS) << ROWS_ADDRESS_BITS;
}

/* The table as a walk uses it. */
struct rows {
	const struct row_slot *slots;
	uint64_t mask; /* of an offset in bytes */
};

struct rows rows_open(void); /* without a region: one slot that is never used */
uint64_t rows_changes(void);

static inline const struct row_slot *rows_slot(struct rows rows, uint64_t ip)
{
	/* The low half of 2^64 / the golden ratio; rows_open says why these bits. */
	uint64_t spread = ip * UINT64_C(0x7F4A7C15);

	return (const void *)((const char *)rows.slots + (spread >> 20 & rows.mask));
}

/* Most rows are in their first slot.  -1: look in the others. */
static inline int rows_hit(struct rows rows, uint64_t ip, uint64_t key, uint64_t *row)
{
	const struct row_slot *slot = rows_slot(rows, ip);

	if (unlikely(LOAD_ACQ(&slot->key) != key))
		return -1;
	*row = LOAD_ACQ(&slot->row);
	return 0;
}

/* Looks in all slots for ip, and checks that nothing has changed meanwhile.  -1: not found. */
int rows_find(uint64_t ip, uint64_t key, uint64_t *row);

/* If all slots for it are taken, any one of them is lost; one that is used often comes back.
 * current_tag: that of rows which are not stale. */
void rows_put(uint64_t ip, uint64_t key, uint64_t row, uint64_t current_tag);

/* Makes every row of code that can be unloaded unfindable: before tags come around again. */
void rows_forget(void);

#endif
