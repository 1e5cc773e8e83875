/* A library that comes and goes.  FRAME changes its frame's size, not its code's. */
#include <stdlib.h>

void *plugin_alloc(size_t n)
{
	volatile char room[FRAME];

	room[0] = room[FRAME - 1] = 1;
	void *p = malloc(n);
	room[1] = room[0];
	return p;
}
