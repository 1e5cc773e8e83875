/*
 * The parameters of a request. They are strict: silently ignoring a misspelt one would answer a
 * different question.
 *
 * Each function that parses a value leaves *out unchanged if the parameter is not given. -1:
 * the value is invalid, and the answer already refuses it.
 */
#ifndef CGOHEAP_PARAMS_H
#define CGOHEAP_PARAMS_H

#include "base/base.h"
#include "text/http.h"
#include "serve/answer.h"

/* NULL: not given.  Points into the request. */
const char *params_value(const struct http_request *request, const char *name);

/* Refuses with `invalid name="value": expected ...`; returns -1 for the caller to
 * return. */
int params_refuse(struct answer *answer, const char *name, const char *value, const char *give);

/* A whole number from low to high; give: how the refusal describes that. */
int params_number(struct answer *answer, const struct http_request *request, const char *name,
		  uint64_t low, uint64_t high, const char *give, uint64_t *number);
/* Like 90s or 1h30m, above 0. */
int params_duration(struct answer *answer, const struct http_request *request, const char *name,
		    uint64_t *ns);
/* From 1 to CONFIG_MAX_SAMPLE_BYTES. */
int params_bytes(struct answer *answer, const struct http_request *request, const char *name,
		 uint64_t *bytes);
/* One of count words; *index: which. A NULL among them cannot be given. */
int params_choice(struct answer *answer, const struct http_request *request, const char *name,
		  const char *const *words, size_t count, size_t *index);
/* A parameter with a single allowed value; *given: it was present. */
int params_word(struct answer *answer, const struct http_request *request, const char *name,
		const char *word, bool *given);

#endif
