/* See loader_caller.c. */
#include <stdlib.h>

void *take_in_library(size_t size);
void *take_in_library(size_t size)
{
	void *p = malloc(size);

	__asm__ volatile("" : "+r"(p));
	return p;
}
