#ifndef LOCATE_H
#define LOCATE_H

#include "profile/symbolize.h"

/* The locations of pcs, good until the next call; NULL: out of memory. */
const struct symbols *locate(const uint64_t *pcs, size_t count);

/* C that Go calls and that calls back; its address. */
int locate_probe(int x);
uint64_t locate_probe_address(void);

#endif
