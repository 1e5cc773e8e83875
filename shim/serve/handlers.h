/*
 * The routes and their answers.
 *
 * A handler checks everything about a request before it does anything.
 */
#ifndef CGOHEAP_HANDLERS_H
#define CGOHEAP_HANDLERS_H

#include "text/http.h"
#include "serve/answer.h"

#define HANDLERS_TRIMS 1 /* that may wait at the same time */

/* Answers the request, or sets answer->due_ns. */
void handlers_begin(struct answer *answer, const struct http_request *request);
/* Answers, or sets due_ns again. Before due_ns, if that is allowed, answers with what is there. */
void handlers_finish(struct answer *answer);

#endif
