/*
 * rows.h: the two words of a row whose slot is given to another address. Both ways to read it are
 * checked: rows_find, and rows_hit with rows_changes around it, as a walk does.
 *
 * break shim/unwind/rows.c s/was_used = found != 0/was_used = false/
 * break shim/unwind/rows.c /fetch_add(&changes/s/RELEASE/RELAXED/
 * break shim/unwind/rows.c s/STORE_REL(&slot->row/STORE(\&slot->row/
 * break shim/unwind/rows.c s/LOAD_ACQ(&changes)/LOAD(\&changes)/
 * break shim/unwind/rows.h s/\*row = LOAD_ACQ/*row = LOAD/
 */
#include "model.h"

#include "unwind/rows.c"

static struct {
	struct region_header header;
	struct row_slot slots[2];
} memory;
struct region_header *region = &memory.header;
struct region_header region_layout = {
	.rows = {.offset = offsetof(__typeof__(memory), slots), .bytes = sizeof(memory.slots)}};

/* Both have the same first slot, which the second takes over since the first one's tag is old. */
enum { IP = 0x10000, OTHER_IP = IP + 2 };
#define OLD (UINT64_C(1) << ROWS_ADDRESS_BITS)
#define NEW (UINT64_C(2) << ROWS_ADDRESS_BITS)

static void *replaces(void *unused)
{
	rows_put(OTHER_IP, OTHER_IP + NEW, OTHER_IP, NEW);
	return unused;
}

static void *finds(void *unused)
{
	uint64_t row;

	if (rows_find(IP, IP + OLD, &row) == 0)
		assert(row == IP);
	return unused;
}

static void *walks(void *unused)
{
	uint64_t changes = rows_changes(), row;
	bool is_hit = rows_hit(rows_open(), IP, IP + OLD, &row) == 0;

	if (rows_changes() == changes && is_hit)
		assert(row == IP);
	return unused;
}

int main(void)
{
	assert(rows_slot(rows_open(), IP) == rows_slot(rows_open(), OTHER_IP));
	rows_put(IP, IP + OLD, IP, OLD);
	model_run(3, replaces, finds, walks);
	return 0;
}
