/*
 * The C library's allocation functions, as it exports them. A later libc may have functions that
 * have no hook; what those allocate or free is missed.
 */
#ifndef CGOHEAP_FAMILY_H
#define CGOHEAP_FAMILY_H

#include "region/region.h"

/* Whether a libc function of that name allocates or frees, judging by the name, and is not
 * known here: it has no hook and is not on the list of those that need none. */
bool family_is_unknown(const char *name);

/*
 * Names of such functions in this process's C library, separated by commas; "" if there are none
 * or it cannot be read. Reads the library's file the first time. Server's thread.
 */
const char *family_unknown(struct scratch *scratch);

#endif
