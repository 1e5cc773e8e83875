#include "lines.h"

#include <stdlib.h>
#include <string.h>

static long count;

/* Into its caller, at -O2 of cgo's. */
static inline __attribute__((always_inline)) void *grab(size_t n)
{
	void *p = malloc(n); /* line: grab */

	count++;
	return p;
}

void *ln_record(size_t n)
{
	void *volatile p = grab(n); /* line: ln_record */

	memset(p, 1, n);
	return p;
}
