/*
 * A gzip stream into a sink: zlib, its memory from scratch.
 */
#ifndef CGOHEAP_GZIP_H
#define CGOHEAP_GZIP_H

#include "base/base.h"
#include "region/region.h"
#include "text/sink.h"

struct gzip;

/* NULL: out of scratch (about 290 KiB are needed).  Nothing is written yet. */
struct gzip *gzip_open(struct scratch *scratch, struct sink *sink);

/* A failure, of the sink or of zlib, is remembered: later writes do nothing. */
void gzip_write(struct gzip *gzip, const void *bytes, size_t count);
bool gzip_failed(const struct gzip *gzip);

/* Ends the stream.  0, or -1 when anything could not be written. */
int gzip_close(struct gzip *gzip);

#endif
