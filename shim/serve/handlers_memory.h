/*
 * Pages about the memory of the whole process: the account, the memory profile made from it,
 * metrics, and trim, which returns the allocator's free pages.
 */
#ifndef CGOHEAP_HANDLERS_MEMORY_H
#define CGOHEAP_HANDLERS_MEMORY_H

#include "text/http.h"
#include "serve/answer.h"

void answer_account(struct answer *answer, const struct http_request *request);
void answer_memory_profile(struct answer *answer, const struct http_request *request);
void answer_metrics(struct answer *answer, const struct http_request *request);
/* Writes the profile of view=pinned into the body, or refuses. 0, or -1: out of scratch. */
int answer_pinned_profile(struct answer *answer, struct scratch *work);
void answer_trim(struct answer *answer, const struct http_request *request);

#endif
