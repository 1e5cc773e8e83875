/*
 * The C library's allocation functions, as it exports them: a later one may have more
 * than there are hooks, and what those allocate or free is missed.
 */
#ifndef CGOHEAP_FAMILY_H
#define CGOHEAP_FAMILY_H

#include "region/region.h"

/* Whether a libc's function of that name allocates or frees by its name, and is not known here:
 * neither has a hook nor is known not to need one. */
bool family_is_unknown(const char *name);

/*
 * Those of the C library that this process has, with commas between; "" none, or it
 * cannot be read.  Reads its file the first time.  Server's thread.
 */
const char *family_unknown(struct scratch *scratch);

#endif
