/*
 * labelsets.c: threads that intern one set at once get one id, whose record is whole. stacks.c
 * pushes in the same way.
 *
 * with shim/record/labelsets.c s/BUCKETS  *4096/BUCKETS 1/
 * with shim/record/labelsets.c s/^\tkey.hash = h;/\tkey.bytes = 0, key.hash = h;/
 * break shim/record/labelsets.c /^static uint32_t push/,/^}/s/ACQ_REL/RELAXED/
 * break shim/record/labelsets.c /^uint32_t labelsets_intern/,/^}/s/LOAD_ACQ/LOAD/
 * break shim/record/labelsets.c s/found = find(head, seen, key);/found = 0;/
 */
#include "model.h"

#include "record/labelsets.c"

/* As struct labelset, in a cell. */
struct cell {
	uint64_t hash;
	uint32_t next;
	uint16_t bytes;
	uint8_t count, flags;
} __attribute__((aligned(64)));

static struct {
	struct region_header header;
	struct slab slab __attribute__((aligned(64)));
	struct cell cells[3];
} memory = {.slab = {.kind = CELL_LABELS, .units = 1}};
struct region_header *region = &memory.header;
struct region_header region_layout = {
	.arena = {.offset = offsetof(__typeof__(memory), slab), .bytes = 8 * CELLS_SLAB_BYTES},
	.arena_used = CELLS_SLAB_BYTES};

uint32_t cells_take(enum cell_kind kind, size_t bytes, enum cells_need need)
{
	static uint32_t used;

	(void)kind, (void)bytes, (void)need;
	return (uint32_t)(((char *)&memory.cells[ADD(&used, 1)] - (char *)&memory) / 8);
}

void cells_give(uint32_t id)
{
	(void)id;
}

/* Sets that differ in whether they are a part. */
static const struct golabels whole, part = {.total = 1};
static uint32_t ids[2];

static void intern_part(int i)
{
	ids[i] = labelsets_intern(&part);
	assert(set_at(ids[i])->flags & LABELSET_PART);
}

static void *interns(void *unused)
{
	intern_part(0);
	return unused;
}

static void *interns_too(void *unused)
{
	intern_part(1);
	return unused;
}

static void *takes_out(void *unused)
{
	labelsets_take_out();
	return unused;
}

static bool is_taken(uint32_t id)
{
	bool found = false;

	for (uint32_t i = 0; i < taken_count; i++)
		found |= taken[i] == id;
	return found;
}

int main(void)
{
	labelsets_intern(&whole);
#ifdef MODEL_TAKES_OUT
	model_run(2, interns, takes_out);
	ids[1] = labelsets_intern(&part);
	assert(ids[0] == ids[1] || is_taken(ids[0]));
#else
	model_run(2, interns, interns_too);
	assert(ids[0] == ids[1]);
#endif
	return 0;
}
