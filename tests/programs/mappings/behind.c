/*
 * An allocator behind the shim maps for itself, also while one of its blocks is being recorded:
 * none of that counts as C's. Its own statistics include what it maps.
 */
#include "mappings.h"

static NOINLINE void *map_here(void)
{
	void *p = mmap(NULL, 3 * PAGE, RW, ANON, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

int main(void)
{
	static void *blocks[2000];

	map_here();
	for (size_t i = 0; i < COUNT_OF(blocks); i++)
		CHECK((blocks[i] = malloc(16000 + i)));
	for (size_t i = 0; i < COUNT_OF(blocks); i += 2)
		free(blocks[i]);
	IN_USE("mmap", "map_here", 1, 3 * PAGE);
	IN_USE("mmap", NULL, 1, 3 * PAGE);
	return 0;
}
