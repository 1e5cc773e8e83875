/* See unloaded.c: one source, so that the two have everything but the name in the same place. */
#include <stdlib.h>

__attribute__((noinline)) void *NAME(size_t n)
{
	void *p = malloc(n);
	__asm__ volatile("" : "+r"(p)); /* not a tail call */
	return p;
}
