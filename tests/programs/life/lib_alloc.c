/* See unloaded.c. One source, so that the two libraries differ in nothing but the name. */
#include <stdlib.h>

__attribute__((noinline)) void *NAME(size_t n)
{
	void *p = malloc(n);
	__asm__ volatile("" : "+r"(p)); /* not a tail call */
	return p;
}
