#include <stddef.h>
#include <stdint.h>

#include "oracle.h"

/* A block of n bytes, below C frames of several forms. */
void *walks_leaf(size_t n);
void *walks_registers(size_t n, size_t data);
void *walks_room(size_t n, size_t bytes);
/* Goes on with the walk in Go. */
void walks_back(size_t n, size_t site, size_t bytes, uintptr_t walk);
