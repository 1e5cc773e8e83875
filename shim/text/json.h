/*
 * Writes JSON objects and arrays, with commas where needed.  An unknown figure is null,
 * never 0.
 */
#ifndef CGOHEAP_JSON_H
#define CGOHEAP_JSON_H

#include "base/base.h"
#include "text/text.h"

struct json {
	struct text text;
	bool follows; /* not the first in this object or array: a comma is due */
};

void json_init(struct json *j, struct sink *sink);
/* Ends with a newline; 0, or -1 if the sink failed. */
int json_finish(struct json *j);
/* Stops inside an object or array that is not empty; json_go_on continues it, in the same or in
 * another struct json.  Returns as json_finish. */
int json_pause(struct json *j);
void json_go_on(struct json *j, struct sink *sink);

/* key NULL: in an array, or outermost. */
void json_open(struct json *j, const char *key);
void json_close(struct json *j);
void json_open_array(struct json *j, const char *key);
void json_close_array(struct json *j);

void json_number(struct json *j, const char *key, uint64_t value);
void json_signed(struct json *j, const char *key, int64_t value);
/* is_known false: null. */
void json_known(struct json *j, const char *key, bool is_known, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
/* NULL and "": null. */
void json_string(struct json *j, const char *key, const char *value);
/* value in thousandths, as a fraction with three digits */
void json_permille(struct json *j, const char *key, bool is_known, uint64_t value);
/* in millionths, with six digits */
void json_millionths(struct json *j, const char *key, bool is_known, uint64_t value);

/* RFC 3339 in UTC, with nanoseconds. */
#define JSON_TIME_BYTES 64
void json_format_time(uint64_t realtime_ns, char out[JSON_TIME_BYTES]);

#endif
