#include "lines.h"

#include <stdlib.h>
#include <string.h>

static long count;

/* Inlined into its caller, at cgo's -O2. */
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
