/*
 * A response body, built whole before its first byte is sent: so its length is
 * known, and an error on the way can still be an error status.  In scratch
 * memory, which region bounds over all requests together.
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
	struct sink sink; /* for whoever writes into it */
};

/* Empty; owns nothing until the first write.  Must not move after this. */
void body_init(struct body *body);
void body_release(struct body *body); /* gives the memory back; empty again; safe twice */

/* The unsent bytes at its front, *count of them (0: none left), and how many of these went out. */
const char *body_front(const struct body *body, size_t *count);
void body_consume(struct body *body, size_t count);

#endif
