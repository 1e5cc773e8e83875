/*
 * An HTTP request's Accept header (RFC 9110, 12.5.1). Pure; any thread; async-signal-safe.
 */
#ifndef CGOHEAP_ACCEPT_H
#define CGOHEAP_ACCEPT_H

#include "base/base.h"

/*
 * How much an Accept header wants a media type (in lower case), 0 to 1000. Only an entry that names
 * the type counts, of any version or of this one; 0: none does, or accept is NULL.
 */
unsigned accept_quality(const char *accept, const char *type, const char *version);

#endif
