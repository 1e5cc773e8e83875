/*
 * Writes a gzip stream to a sink: zlib, with its memory from scratch.
 */
#ifndef CGOHEAP_GZIP_H
#define CGOHEAP_GZIP_H

#include "base/base.h"
#include "region/region.h"
#include "text/sink.h"

struct gzip;

/* How far back it looks for repetition, which is what its memory is for. */
enum gzip_window {
	GZIP_LARGE, /* about 290 KiB */
	GZIP_SMALL  /* about 60 KiB, for some pages of text */
};

/* NULL if scratch is exhausted.  Writes nothing yet. */
struct gzip *gzip_open(struct scratch *scratch, struct sink *sink, enum gzip_window window);

/* After a failure of the sink or of zlib, later writes do nothing. */
void gzip_write(struct gzip *gzip, const void *bytes, size_t count);
bool gzip_failed(const struct gzip *gzip);

/* Ends the stream.  0, or -1 if any write failed. */
int gzip_close(struct gzip *gzip);

#endif
