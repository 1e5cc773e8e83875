/*
 * More mappings per second than stacks are captured, and more ranges than the table of mappings
 * holds: the first are all counted, and the program does not notice the rest.
 */
#include "mappings.h"

#define MANY 20000

static NOINLINE void map_every_other(char *area, size_t n)
{
	for (size_t i = 0; i < n; i++)
		CHECK(mmap(area + 2 * i * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) ==
		      area + 2 * i * PAGE);
}

int main(int argc, char **argv)
{
	size_t room = argc > 1 ? (size_t)atol(argv[1]) : MANY;
	char *area = mmap(NULL, 2 * MANY * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);

	CHECK(area != MAP_FAILED);
	for (int round = 0; round < 2; round++) {
		map_every_other(area, MANY);
		/* A mapping whose stack is not captured has only its caller, which is this
		 * function. */
		struct mappings_figures f = mappings_of("mmap", "map_every_other");
		CHECK(f.objects <= MANY && f.bytes == f.objects * (long long)PAGE);
		CHECK(room < MANY ? f.objects > (long long)room / 4 && f.objects <= (long long)room
				  : f.objects == MANY);
		CHECK(mmap(area, 2 * MANY * PAGE, PROT_NONE, ANON | MAP_FIXED | MAP_NORESERVE, -1,
			   0) == area);
		IN_USE("mmap", NULL, 0, 0);
	}
	return 0;
}
