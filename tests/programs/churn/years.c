/*
 * A site that allocates for years: more than 2^60 bytes, by mappings that are never touched.
 */
#include "../mappings/mappings.h"

#define BYTES (UINT64_C(32) << 40)
#define TIMES 40000

NOINLINE static void map_once(void)
{
	void *p = mmap(NULL, BYTES, RW, ANON | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(munmap(p, BYTES) == 0);
}

int main(void)
{
	struct mappings_figures before = mappings_of("mmap", NULL), after;

	for (int i = 0; i < TIMES; i++)
		map_once();
	after = mappings_of("mmap", NULL);
	CHECK(after.allocs - before.allocs == TIMES);
	CHECK(after.alloc_bytes - before.alloc_bytes == (long long)(TIMES * BYTES));
	CHECK(after.objects == before.objects && after.bytes == before.bytes);
	return 0;
}
