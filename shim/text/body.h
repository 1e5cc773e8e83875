/*
 * A response body.  It is complete before its first byte is sent, so its length is
 * known and an error can still become an error status.  Uses scratch memory, whose
 * total over all requests region bounds.
 */
#ifndef CGOHEAP_BODY_H
#define CGOHEAP_BODY_H

#include "base/base.h"
#include "region/region.h"
#include "text/sink.h"

struct body_piece;
struct body {
	struct scratch scratch;
	struct body_piece *first, *last;
	uint64_t bytes;
	struct sink sink; /* for writers */
};

/* Makes an empty body, without memory until the first write.  It must not move after this. */
void body_init(struct body *body);
void body_release(struct body *body); /* frees and empties it; safe twice */

/* The next unsent bytes, *count of them (0: all sent); body_consume: count of them were sent. */
const char *body_front(const struct body *body, size_t *count);
void body_consume(struct body *body, size_t count);

#endif
