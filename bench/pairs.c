/* pairs N: that many malloc and free pairs of 32 bytes, for callgrind to count. */
#include <stdlib.h>

static inline void *opaque(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

__attribute__((noinline)) static void pairs(long n)
{
	for (long i = 0; i < n; i++)
		free(opaque(malloc(32)));
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	free(opaque(malloc(32))); /* the first pair fills glibc's cache */
	pairs(atol(argv[1]));
	return 0;
}
