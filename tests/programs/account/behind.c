/*
 * With another allocator behind malloc: its figures, its memory from the first mapping on, what
 * is retained, and trim. Every block is sampled.
 */
#include "account.h"

#define COUNT 20000
static void *blocks[COUNT];

int main(int argc, char **argv)
{
	char name[64];
	CHECK(argc == 2);
	take_account();
	snprintf(name, sizeof(name), "\"allocator\":{\"name\":\"%s\"", argv[1]);
	CHECK(strstr(hooks_get("/v1/account"), name));
	struct seen before = take_account();
	for (int i = 0; i < COUNT; i++) {
		blocks[i] = malloc(4096);
		CHECK(blocks[i]);
		memset(blocks[i], 1, 4096);
	}
	struct seen full = take_account();
	/* All further resident memory is the allocator's: blocks, and what it needs to manage
	 * them. */
	long long live = full.owner[C_LIVE] - before.owner[C_LIVE];
	CHECK(llabs(live - COUNT * 4096LL) < COUNT * 4096LL / 50);
	CHECK(full.owner[UNTRACKED_MMAP] < MIB && full.owner[C_MMAP] < MIB);
	for (int i = 0; i < COUNT; i++)
		free(blocks[i]);
	struct seen freed = take_account();
	CHECK(freed.owner[C_LIVE] < before.owner[C_LIVE] + MIB);
	CHECK(freed.owner[C_RETAINED] > COUNT * 4096LL / 50 * 49);
	CHECK(strstr(hooks_ask("POST", "/v1/trim"), "\"what\":\""));
	/* mimalloc only returns memory that belongs to the calling thread. */
	if (strcmp(argv[1], "mimalloc") != 0)
		CHECK(take_account().owner[C_RETAINED] < freed.owner[C_RETAINED] / 2);
	return 0;
}
