/*
 * Room text: bytes in and out: text, JSON, gzip, HTTP, the lines of /proc.  The threads of the
 * library, never a hook; no lock.
 *
 * Text into a sink, a few kilobytes at a time: no allocation, no stdio.
 *
 * A failed sink is remembered: later calls do nothing and text_flush says so,
 * so that a writer checks once, at the end.
 */
#ifndef CGOHEAP_TEXT_H
#define CGOHEAP_TEXT_H

#include "base/base.h"
#include "text/sink.h"

#define TEXT_BUFFER_BYTES 4096
/* What one text_printf may write; more is cut. */
#define TEXT_PRINTF_BYTES 512

struct text {
	struct sink *sink;
	size_t used;
	uint64_t flushed; /* bytes that the sink has had */
	bool failed;
	char buffer[TEXT_BUFFER_BYTES];
};

void text_init(struct text *t, struct sink *sink);
int text_flush(struct text *t); /* 0, or -1 when anything could not be written */

void text_write(struct text *t, const char *bytes, size_t count);
void text_string(struct text *t, const char *s); /* any length */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* s as a JSON string in its quotes, or null where s is NULL or empty: an unknown
 * is never "".  What is not UTF-8 becomes U+FFFD. */
void text_json_string(struct text *t, const char *s);

/* The length of the UTF-8 sequence that s (NUL-terminated) begins with, 1 to 4; 0: none. */
size_t text_utf8_length(const char *s);

#endif
