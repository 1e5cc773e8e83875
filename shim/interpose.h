/*
 * Whether malloc, calloc, realloc and free ask before they jump.
 *
 * While nothing is sampled they need not: the exported functions then jump
 * straight to the real ones, one instruction each.
 */
#ifndef CGOHEAP_INTERPOSE_H
#define CGOHEAP_INTERPOSE_H

#include "base.h"

/*
 * on: allocations are looked at from now on, and frees.  Off: allocations no
 * longer; frees not either once no sampled block is left, and it is settled, i.e.
 * no thread is still recording one.  True: there is nothing more to do; false:
 * ask again later.  Any thread.
 */
bool interpose_follow(bool on, bool settled);

#endif
