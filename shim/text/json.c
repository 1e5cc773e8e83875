/*
 * See json.h.  Formats times itself, because glibc's gmtime_r may read the time zone
 * from a file and allocate.
 */
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_SECOND UINT64_C(1000000000)

void json_init(struct json *j, struct sink *sink)
{
	text_init(&j->text, sink);
	j->follows = false;
}

int json_finish(struct json *j)
{
	text_string(&j->text, "\n");
	return text_flush(&j->text);
}

int json_pause(struct json *j)
{
	return text_flush(&j->text);
}

void json_go_on(struct json *j, struct sink *sink)
{
	json_init(j, sink);
	j->follows = true;
}

static void separate(struct json *j, const char *key)
{
	if (j->follows)
		text_string(&j->text, ",");
	if (key)
		text_printf(&j->text, "\"%s\":", key);
	j->follows = true;
}

static void open_with(struct json *j, const char *key, const char *bracket)
{
	separate(j, key);
	text_string(&j->text, bracket);
	j->follows = false;
}

static void close_with(struct json *j, const char *bracket)
{
	text_string(&j->text, bracket);
	j->follows = true;
}

void json_open(struct json *j, const char *key)
{
	open_with(j, key, "{");
}

void json_close(struct json *j)
{
	close_with(j, "}");
}

void json_open_array(struct json *j, const char *key)
{
	open_with(j, key, "[");
}

void json_close_array(struct json *j)
{
	close_with(j, "]");
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	separate(j, key);
	text_printf(&j->text, "%" PRIu64, value);
}

void json_signed(struct json *j, const char *key, int64_t value)
{
	separate(j, key);
	text_printf(&j->text, "%" PRId64, value);
}

static void json_null(struct json *j, const char *key)
{
	separate(j, key);
	text_string(&j->text, "null");
}

void json_known(struct json *j, const char *key, bool is_known, uint64_t value)
{
	if (is_known)
		json_number(j, key, value);
	else
		json_null(j, key);
}

void json_bool(struct json *j, const char *key, bool value)
{
	separate(j, key);
	text_string(&j->text, value ? "true" : "false");
}

void json_string(struct json *j, const char *key, const char *value)
{
	separate(j, key);
	text_json_string(&j->text, value);
}

void json_permille(struct json *j, const char *key, bool is_known, uint64_t value)
{
	if (!is_known) {
		json_null(j, key);
		return;
	}
	separate(j, key);
	text_printf(&j->text, "%" PRIu64 ".%03" PRIu64, value / 1000, value % 1000);
}

void json_millionths(struct json *j, const char *key, bool is_known, uint64_t value)
{
	if (!is_known) {
		json_null(j, key);
		return;
	}
	separate(j, key);
	text_printf(&j->text, "%" PRIu64 ".%06" PRIu64, value / 1000000, value % 1000000);
}

/* ---- times -------------------------------------------------------------- */

/* Converts days since 1970-01-01 to a Gregorian date.  Years are counted from March, so that
 * a leap day is the last day of its year. */
static void date_of_days(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t z = days + 719468; /* since 0000-03-01 */
	uint64_t era = z / 146097;
	unsigned doe = (unsigned)(z % 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned march_month = (5 * doy + 2) / 153;
	*day = doy - (153 * march_month + 2) / 5 + 1;
	*month = march_month < 10 ? march_month + 3 : march_month - 9;
	*year = (unsigned)(yoe + era * 400) + (*month <= 2);
}

void json_format_time(uint64_t realtime_ns, char out[JSON_TIME_BYTES])
{
	uint64_t seconds = realtime_ns / NS_PER_SECOND;
	unsigned of_day = (unsigned)(seconds % 86400), year, month, day;
	date_of_days(seconds / 86400, &year, &month, &day);
	snprintf(out, JSON_TIME_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%09" PRIu64 "Z", year, month,
		 day, of_day / 3600, of_day / 60 % 60, of_day % 60, realtime_ns % NS_PER_SECOND);
}
