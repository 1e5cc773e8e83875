/*
 * The pages about the whole of the process's memory: the account, the profile
 * made of it, metrics, and giving the allocator's free pages back.
 */
#ifndef CGOHEAP_HANDLERS_MEMORY_H
#define CGOHEAP_HANDLERS_MEMORY_H

#include "serve/handlers.h"

void answer_account(struct answer *answer, const struct http_request *request);
void answer_memory_profile(struct answer *answer, const struct http_request *request);
void answer_metrics(struct answer *answer, const struct http_request *request);
void answer_trim(struct answer *answer, const struct http_request *request);

#endif
