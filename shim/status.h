/* /v1/status as JSON, and the same facts as profile comments. */
#ifndef CGOHEAP_STATUS_H
#define CGOHEAP_STATUS_H

#include "base.h"
#include "profile.h"
#include "region.h"

int status_write_json(struct sink *sink);
/* NULL-terminated, in scratch: interval, what was dropped, stacks truncated by reason.  NULL: out
 * of scratch. */
const char *const *status_comments(struct scratch *scratch);

/* "glibc", "jemalloc", "tcmalloc", "mimalloc", or the file name of who answers malloc. */
const char *status_allocator(void);

#endif
