/*
 * What was mapped before the shim began: the loader's own memory, the main
 * thread's static TLS, what constructors before ours mapped.  Taken once; bounded.
 */
#ifndef CGOHEAP_EARLYMAPS_H
#define CGOHEAP_EARLYMAPS_H

#include "base.h"
#include "claims.h"

/* In the constructor: one read of /proc/self/maps, through the given scratch. */
void earlymaps_take(struct scratch *scratch);
/* Adds each anonymous range, as `what`.  False: scratch is exhausted. */
bool earlymaps_claim(struct scratch *scratch, struct claims *claims, uint8_t what);

#endif
