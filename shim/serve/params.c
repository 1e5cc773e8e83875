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

int params_refuse(struct answer *a, const char *name, const char *value, const char *give)
{
	char quoted[LOG_QUOTE_BYTES];
	answer_refuse(a, 400, "invalid %s=%s: expected %s", name, log_quote(quoted, value), give);
	return -1;
}

/* Parses a decimal integer within bounds; -1 if it is not one. */
static int parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *number)
{
	if (strlen(text) > 18 || !ascii_number(&text, number) || *text != '\0')
		return -1;
	return *number >= low && *number <= high ? 0 : -1;
}

int params_number(struct answer *a, const struct http_request *r, const char *name, uint64_t low,
		  uint64_t high, const char *give, uint64_t *number)
{
	const char *value = params_value(r, name);
	if (value == NULL || parse_number(value, low, high, number) == 0)
		return 0;
	return params_refuse(a, name, value, give);
}

int params_duration(struct answer *a, const struct http_request *r, const char *name, uint64_t *ns)
{
	const char *value = params_value(r, name);
	if (value == NULL || (config_parse_duration(value, ns) == 0 && *ns > 0))
		return 0;
	return params_refuse(a, name, value, "a time above 0, e.g. 90s, 10m or 1h30m");
}

int params_bytes(struct answer *a, const struct http_request *r, const char *name, uint64_t *bytes)
{
	const char *value = params_value(r, name);
	if (value == NULL || (config_parse_bytes(value, bytes) == 0 && *bytes >= 1 &&
			      *bytes <= CONFIG_MAX_SAMPLE_BYTES))
		return 0;
	return params_refuse(a, name, value, "bytes from 1 to 1073741824, e.g. 524288 or 512KiB");
}

int params_word(struct answer *a, const struct http_request *r, const char *name, const char *word,
		bool *given)
{
	const char *value = params_value(r, name);
	if (value == NULL)
		return 0;
	*given = strcmp(value, word) == 0;
	return *given ? 0 : params_refuse(a, name, value, word);
}
