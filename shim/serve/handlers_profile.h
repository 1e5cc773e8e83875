/* The profile pages: C's heap, and Go's and C's heaps in one profile. */
#ifndef CGOHEAP_HANDLERS_PROFILE_H
#define CGOHEAP_HANDLERS_PROFILE_H

#include "text/http.h"
#include "serve/answer.h"

void answer_profile(struct answer *answer, const struct http_request *request);
void answer_allheap(struct answer *answer, const struct http_request *request);

/* For views: writes what the snapshot has, with answer->options, into the body. 0, or -1: out of
 * scratch. */
int handlers_profile_write(struct answer *answer, struct scratch *work,
			   const struct snapshot *snapshot);

#endif
