/*
 * More live blocks than the tables hold: the program keeps running, blocks that did not fit are
 * counted, freed blocks make room, and the memory bound holds.
 */
#include "hooks.h"

#define BLOCKS 100000

static void *blocks[BLOCKS];

int main(void)
{
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < BLOCKS; i++)
			CHECK((blocks[i] = malloc(48)));
		struct hooks_figures f = hooks_figures_of(48);
		CHECK(f.live >= 29000 && f.live < BLOCKS);
		CHECK(f.allocs + hooks_status("live_full") == (round + 1) * BLOCKS);
		CHECK(hooks_status("resident_bytes") <= 4 << 20);
		for (int i = 0; i < BLOCKS; i++)
			free(blocks[i]);
		CHECK(hooks_figures_of(48).live == 0);
	}
	CHECK(hooks_status("stale") == 0);
	return 0;
}
