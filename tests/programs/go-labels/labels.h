#ifndef LABELS_H
#define LABELS_H

#include <stddef.h>

void *lb_malloc(size_t n);

/* Allocates before, calls back into Go, which allocates, and allocates after. */
void lb_around(size_t before, size_t after);

/* The same in a C thread, and waits for it. */
void lb_thread(size_t before, size_t after);

#endif
