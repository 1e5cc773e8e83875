/*
 * stacks.h: a reader that sees a free sees its allocation too, so what is in use is never negative;
 * nor is a turn of the low word seen as a huge figure.
 *
 * break shim/record/stacks.h /&s->free_bytes_fx, w.bytes_fx/s/RELEASE/RELAXED/
 * break shim/record/stacks_read.c s/free_bytes = LOAD_ACQ/free_bytes = LOAD/
 */
#include "model.h"

#define CGOHEAP_SAMPLE_H
#include "record/weight.h"
struct weight sample_weight(uint64_t size, uint32_t interval);

#include "record/stacks_read.c"

static struct {
	struct region_header header;
	struct slab slab __attribute__((aligned(64)));
	struct site site __attribute__((aligned(64)));
} memory = {.slab = {.kind = CELL_SITE, .units = 1}, .site = {.size = 8}};
struct region_header *region = &memory.header;
struct region_header region_layout = {
	.arena = {.offset = offsetof(__typeof__(memory), slab), .bytes = 8 * CELLS_SLAB_BYTES},
	.arena_used = CELLS_SLAB_BYTES};
struct site *site_at_wide(uint32_t id)
{
	(void)id;
	return NULL;
}

static const struct weight whole = {.bytes_fx = UINT64_C(8) << WEIGHT_BYTE_BITS};
static uint32_t is_passed_on;

/* The block goes to another thread, which frees it. */
static void *allocates(void *unused)
{
	site_add_alloc(&memory.site, whole);
	STORE_REL(&is_passed_on, 1);
	return unused;
}

static void *frees(void *unused)
{
	__VERIFIER_assume(LOAD_ACQ(&is_passed_on));
	site_add_free(&memory.site, whole);
	return unused;
}

static void *reads(void *unused)
{
	struct tally t = stacks_tally((uint32_t)(((char *)&memory.site - (char *)&memory) / 8));

	assert(t.inuse_bytes >= 0 && t.inuse_bytes <= 8);
	return unused;
}

int main(void)
{
	/* Just below a turn of the top bit. */
	memory.site.alloc_bytes_fx = memory.site.free_bytes_fx = (UINT64_C(1) << 63) - 1;
	model_run(3, allocates, frees, reads);
	return 0;
}
