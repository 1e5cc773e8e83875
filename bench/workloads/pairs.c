/* N malloc and free pairs of 32 bytes, 20 frames deep, 1,000 blocks live. */
#include <stdlib.h>

#include "work.h"

#define DEPTH 20
#define HELD  1000

static void *ring[HELD];

__attribute__((noinline)) static void pairs(long n)
{
	for (long i = 0; i < n; i++) {
		void **slot = &ring[i % HELD];
		free(work_opaque(*slot));
		*slot = malloc(32);
	}
}

__attribute__((noinline)) static void deep(int depth, long n)
{
	if (depth > 0)
		deep(depth - 1, n);
	else
		pairs(n);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

int main(int argc, char **argv)
{
	deep(DEPTH, work_begin(argc, argv));
	work_end();
	return 0;
}
