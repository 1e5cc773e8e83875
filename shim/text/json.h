/*
 * JSON objects and arrays as they are written, with the commas between.  A
 * figure that is not known is null, never 0.
 */
#ifndef CGOHEAP_JSON_H
#define CGOHEAP_JSON_H

#include "base/base.h"
#include "text/text.h"

struct json {
	struct text text;
	bool follows; /* something came before in this object or array: a comma is due */
};

void json_init(struct json *j, struct sink *sink);
/* Ends with a newline; 0, or -1 when the sink failed. */
int json_finish(struct json *j);
/* Inside an object or array that has something in it: the rest of it is written later, by another
 * that goes on with the same sink.  As json_finish. */
int json_pause(struct json *j);
void json_go_on(struct json *j, struct sink *sink);

/* key NULL: in an array, or the outermost. */
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
/* thousandths, as a fraction with three digits */
void json_permille(struct json *j, const char *key, bool is_known, uint64_t value);
/* with six */
void json_millionths(struct json *j, const char *key, bool is_known, uint64_t value);

/* RFC 3339 in UTC, nanoseconds and all. */
#define JSON_TIME_BYTES 64
void json_format_time(uint64_t realtime_ns, char out[JSON_TIME_BYTES]);

#endif
