/* See params.h. */
#include "serve/params.h"

#include <string.h>

#include "base/ascii.h"
#include "config/config.h"
#include "config/log.h"

const char *params_value(const struct http_request *r, const char *name)
{
	for (uint32_t i = 0; i < r->param_count; i++)
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	return NULL;
}

bool params_refuse(struct answer *a, const char *name, const char *value, const char *give)
{
	char quoted[LOG_QUOTE_BYTES];
	answer_refuse(a, 400, "invalid %s=%s: expected %s", name, log_quote(quoted, value), give);
	return false;
}

/* Parses a decimal integer within bounds; false if it is not one. */
static bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *number)
{
	return strlen(text) <= 18 && ascii_number(&text, number) && *text == '\0' &&
	       *number >= low && *number <= high;
}

bool params_number(struct answer *a, const struct http_request *r, const char *name, uint64_t low,
		   uint64_t high, const char *give, uint64_t *number)
{
	const char *value = params_value(r, name);
	return value == NULL || parse_number(value, low, high, number) ||
	       params_refuse(a, name, value, give);
}

bool params_duration(struct answer *a, const struct http_request *r, const char *name, uint64_t *ns)
{
	const char *value = params_value(r, name);
	return value == NULL || (config_parse_duration(value, ns) && *ns > 0) ||
	       params_refuse(a, name, value, "a time above 0, e.g. 90s, 10m or 1h30m");
}

bool params_bytes(struct answer *a, const struct http_request *r, const char *name, uint64_t *bytes)
{
	const char *value = params_value(r, name);
	return value == NULL ||
	       (config_parse_bytes(value, bytes) && *bytes >= 1 &&
		*bytes <= CONFIG_MAX_SAMPLE_BYTES) ||
	       params_refuse(a, name, value, "bytes from 1 to 1073741824, e.g. 524288 or 512KiB");
}

bool params_word(struct answer *a, const struct http_request *r, const char *name, const char *word,
		 bool *given)
{
	const char *value = params_value(r, name);
	if (value == NULL)
		return true;
	*given = strcmp(value, word) == 0;
	return *given || params_refuse(a, name, value, word);
}
