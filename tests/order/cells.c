/*
 * cells.c: a free cell is taken by one thread, which finds what its last owner did; also where
 * others take and return the same cell meanwhile.
 *
 * with shim/region/cells.c s/STORE((uint64_t \*)cell_link(id), 0)/(void)0/
 * break shim/region/cells.c /^static uint32_t list_pop/,/^}/s/ACQ_REL, __ATOMIC_ACQUIRE/RELAXED, 0/
 * break shim/region/cells.c /__ATOMIC_RELEASE, __ATOMIC_RELAXED/s/RELEASE/RELAXED/
 * break shim/region/cells.c s/((before >> 32) + 1) << 32/(before >> 32) << 32/
 * break shim/region/cells.c /^static uint32_t list_pop/,/^}/s/LOAD_ACQ(/LOAD(/
 */
#include "model.h"

#include "region/cells.c"

#define CELLS 2
static struct {
	struct region_header header;
	struct {
		uint32_t next, owner;
		uint64_t padding[7];
	} cells[CELLS] __attribute__((aligned(64)));
} memory;
struct region_header *region = &memory.header;
struct region_header region_layout = {
	.arena = {.offset = 0, .bytes = sizeof(memory)},
	.arena_used = sizeof(memory),
};

uint32_t region_alloc(size_t n)
{
	return n & 0;
}

#define LIST (&free_cells[CELL_SITE][1])

static uint32_t id_of(size_t i)
{
	return (uint32_t)(((char *)&memory.cells[i] - (char *)&memory) / 8);
}

static uint32_t *owner_of(uint32_t id)
{
	return (uint32_t *)region_at((uint64_t)id * 8) + 1;
}

static uint32_t take(void)
{
	uint32_t id = list_pop(LIST);

	if (id) {
		assert(LOAD(owner_of(id)) == 0);
		STORE(owner_of(id), 1);
	}
	return id;
}

static void give(uint32_t id)
{
	STORE(owner_of(id), 0);
	list_push(LIST, id, id);
}

static void *takes_one(void *unused)
{
	take();
	return unused;
}

static void *takes_two_and_gives_one(void *unused)
{
	uint32_t first = take();

	take();
	if (first)
		give(first);
	return unused;
}

int main(void)
{
	for (size_t i = 0; i < CELLS; i++)
		list_push(LIST, id_of(i), id_of(i));
	model_run(2, takes_one, takes_two_and_gives_one);
	take();
	return 0;
}
