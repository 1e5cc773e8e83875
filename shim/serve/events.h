/*
 * /v1/events: what happens, as JSON lines, until the time is over or the client leaves.
 *
 * At most EVENTS_STREAMS at a time. A stream is an answer without a length: every
 * EVENTS_BATCH_NS its finish writes what has happened meanwhile, at most one batch, and says
 * when the next is due. A client that does not read delays its own stream alone; what it misses
 * meanwhile is counted, and it is told.
 *
 * Which lines there are, and their members: docs/events.md.
 */
#ifndef CGOHEAP_EVENTS_H
#define CGOHEAP_EVENTS_H

#include "text/http.h"
#include "serve/answer.h"

#define EVENTS_STREAMS     2
#define EVENTS_BATCH_NS    UINT64_C(200000000)
#define EVENTS_MAX_SECONDS 86400 /* and the default */

void answer_events(struct answer *answer, const struct http_request *request);

/* Ends a stream; NULL is allowed. */
void events_release(struct events_stream *stream);
/* In a child of fork: the streams are the parent's. */
void events_forget_all(void);

#endif
