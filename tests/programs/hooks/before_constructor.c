/*
 * Calls before any constructor has run, from .preinit_array, which comes first. The shim does
 * not know these blocks; they belong to the real allocator.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "hooks.h"

static void *early[8], *mapped;

static void allocate_early(int argc, char **argv, char **environment)
{
	(void)argc, (void)argv;
	environ = environment; /* for getenv: libc has not set it yet */
	early[0] = malloc(7919);
	early[1] = calloc(100, 70);
	early[2] = realloc(malloc(7), 7000);
	if (posix_memalign(&early[3], 64, 7000))
		early[3] = NULL;
	early[4] = aligned_alloc(64, 6400);
	early[5] = memalign(64, 7000);
	early[6] = valloc(7000);
	early[7] = hooks_pvalloc(7000);
	free(malloc(10));
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

__attribute__((section(".preinit_array"),
	       used)) static void (*const first)(int, char **, char **) = allocate_early;

int main(void)
{
	CHECK(mapped != MAP_FAILED && munmap(mapped, 4096) == 0);
	for (int i = 0; i < 8; i++)
		CHECK(early[i]);
	for (int i = 0; i < 7000; i++)
		CHECK(((char *)early[1])[i] == 0);
	EXPECT(7919, 0, 0);
	early[0] = realloc(early[0], 7907);
	EXPECT(7907, 1, 1);
	for (int i = 0; i < 8; i++)
		free(early[i]);
	EXPECT(7907, 1, 0);
	return 0;
}
