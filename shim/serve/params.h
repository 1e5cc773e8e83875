/*
 * The parameters of a request, taken strictly: a misspelt one that is silently ignored would
 * answer a question that was not asked.
 *
 * Each that takes a value leaves *out as it is where the parameter is not given.
 * False: it is not understood, and the answer is a refusal already.
 */
#ifndef CGOHEAP_PARAMS_H
#define CGOHEAP_PARAMS_H

#include "base/base.h"
#include "text/http.h"
#include "serve/answer.h"

/* NULL: not given.  Points into the request. */
const char *params_value(const struct http_request *request, const char *name);

/* Refuses: `name="value" is not understood: give ...`; false, for the caller to return. */
bool params_refuse(struct answer *answer, const char *name, const char *value, const char *give);

/* A whole number from low to high; give: how the refusal says that. */
bool params_number(struct answer *answer, const struct http_request *request, const char *name,
		   uint64_t low, uint64_t high, const char *give, uint64_t *number);
/* As 90s or 1h30m, above 0. */
bool params_duration(struct answer *answer, const struct http_request *request, const char *name,
		     uint64_t *ns);
/* From 1 to CONFIG_MAX_SAMPLE_BYTES. */
bool params_bytes(struct answer *answer, const struct http_request *request, const char *name,
		  uint64_t *bytes);
/* The one word that it can be; *given: it was there. */
bool params_word(struct answer *answer, const struct http_request *request, const char *name,
		 const char *word, bool *given);

#endif
