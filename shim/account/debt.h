/*
 * What of C's memory in use only a garbage collection of Go's can free: blocks whose like is freed
 * by finalizers and cleanups (frees.h).
 *
 * A site whose frees are not known yet takes the share of its stack's other sites.  Of the debt,
 * what was allocated before the last collection began has survived it: Go still referred to it
 * then, or its finalizer has not run.  What was allocated since it ended, no collection could have
 * freed yet.  Of the rest, which came while it ran or while it may have, neither is known.
 */
#ifndef CGOHEAP_DEBT_H
#define CGOHEAP_DEBT_H

#include "base/base.h"
#include "region/region.h"
#include "go/gogc.h"

struct debt {
	uint64_t bytes;          /* UNKNOWN: of no site it is known who frees */
	uint64_t survived_bytes; /* of these; also UNKNOWN if not known since when */
	uint64_t new_bytes;      /* likewise */
};

/* The server's thread. */
void debt_read(struct scratch *scratch, const struct gogc *gc, struct debt *out);

#endif
