/* See params.h. */
#include "serve/params.h"

#include <stdio.h>
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

/* "a, b or c" of those that are not NULL. */
static void list_words(char *out, size_t bytes, const char *const *words, size_t count)
{
	size_t last = count, n = 0;

	while (last > 0 && words[last - 1] == NULL)
		last--;
	out[0] = '\0';
	for (size_t i = 0; i < last && n < bytes; i++)
		if (words[i] != NULL) {
			const char *between = n == 0 ? "" : i + 1 == last ? " or " : ", ";
			n += (size_t)snprintf(out + n, bytes - n, "%s%s", between, words[i]);
		}
}

int params_choice(struct answer *a, const struct http_request *r, const char *name,
		  const char *const *words, size_t count, size_t *index)
{
	const char *value = params_value(r, name);
	char list[128];
	if (value == NULL)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (words[i] != NULL && strcmp(value, words[i]) == 0) {
			*index = i;
			return 0;
		}
	list_words(list, sizeof(list), words, count);
	return params_refuse(a, name, value, list);
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
