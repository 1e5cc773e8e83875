/*
 * LIVE FREES: records LIVE blocks, then frees FREES other blocks as the hook does; for
 * tests/programs/instructions.sh, which counts instructions. The real free does nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "region/region.h"
#include "record/live.h"
#include "hook/free_slow.h"
#include "hook/malloc_slow.h"
#include "hook/real.h"

/* Addresses like an allocator's: 16-aligned, across 8 GiB. */
static uint64_t somewhere(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return UINT64_C(0x7f0000000000) + (*state >> 31) / 16 * 16;
}

static uint64_t freed;

static void free_nothing(void *p)
{
	freed += p != NULL;
}

int main(int argc, char **argv)
{
	uint64_t live = argc > 1 ? strtoull(argv[1], NULL, 10) : 0, state = 1;
	uint64_t frees = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	struct live_block stale;

	if (region_init(32 * MIB))
		return 1;
	real.free = free_nothing;
	for (uint64_t i = 0; i < live; i++) {
		struct live_block b = {.address = somewhere(&state), .size = 1, .interval = 1};
		if (live_put(&b, &stale) < 0)
			return 1;
	}
	state = 2;
	for (uint64_t i = 0; i < frees; i++) {
		void *p = (void *)(somewhere(&state) + 8); /* none of the recorded ones */
		if (unlikely(live_maybe(p)))
			slow_free(p);
		else
			real.free(p);
	}
	return freed != frees;
}
