/* The library that reload loads and unloads. */
#include <stdlib.h>

void *plugin_work(size_t size)
{
	char *p = malloc(size);

	if (p)
		p[0] = 1;
	return p;
}
