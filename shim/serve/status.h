/*
 * The shim's state: /v1/status as JSON, and the facts that a reader of a profile needs, as its
 * comments.
 *
 * Runs on the server's thread. Reads counters without a lock, so related figures may differ by
 * what happened in between. An unknown figure is null in JSON and left out of comments, never 0.
 */
#ifndef CGOHEAP_STATUS_H
#define CGOHEAP_STATUS_H

#include "base/base.h"
#include "region/region.h"
#include "profile/profile.h"

/* Returns 0, or -1 if the sink failed. */
int status_write_json(struct sink *sink);

/* NULL-terminated, in scratch: version, state, interval, what was dropped and why, stacks
 * that could not be followed to their root. NULL: out of scratch. */
const char *const *status_comments(struct scratch *scratch);

#endif
