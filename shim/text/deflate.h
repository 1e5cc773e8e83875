/*
 * Compresses bytes into a deflate stream (RFC 1951), for gzip.c.
 *
 * Made for profiles: many short repetitions, and the processor is the host's. It looks at one
 * earlier place for each position.
 */
#ifndef CGOHEAP_DEFLATE_H
#define CGOHEAP_DEFLATE_H

#include "base/base.h"
#include "region/region.h"
#include "text/sink.h"

struct deflate;

/* window_bytes: how far back it looks, a power of two from 1 KiB to 32 KiB. Takes about five times
 * that and 20 KiB. NULL: scratch is exhausted. */
struct deflate *deflate_open(struct scratch *scratch, struct sink *sink, uint32_t window_bytes);

/* After a failure of the sink, later writes do nothing. */
void deflate_write(struct deflate *deflate, const void *bytes, size_t count);
bool deflate_failed(const struct deflate *deflate);

/* Ends the stream at a whole byte. 0, or -1 if any write failed. */
int deflate_close(struct deflate *deflate);

#endif
