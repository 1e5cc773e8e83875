/*
 * Room text: text, JSON, gzip, HTTP and the lines of /proc.  Used by the library's threads, never
 * by a hook; no lock.
 *
 * Writes text to a sink, a few kilobytes at a time: no allocation, no stdio.
 *
 * After the sink fails, later calls do nothing and text_flush returns -1, so a writer
 * checks once, at the end.
 */
#ifndef CGOHEAP_TEXT_H
#define CGOHEAP_TEXT_H

#include "base/base.h"
#include "text/sink.h"

#define TEXT_BUFFER_BYTES 4096
/* The most that one text_printf writes; the rest is cut. */
#define TEXT_PRINTF_BYTES 512

struct text {
	struct sink *sink;
	size_t used;
	uint64_t flushed; /* bytes passed to the sink */
	bool failed;
	char buffer[TEXT_BUFFER_BYTES];
};

void text_init(struct text *t, struct sink *sink);
int text_flush(struct text *t); /* 0, or -1 if any write failed */

void text_string(struct text *t, const char *s); /* any length */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* s as a quoted JSON string; null if s is NULL or empty, since an unknown is never "".
 * Bytes that are not UTF-8 become U+FFFD. */
void text_json_string(struct text *t, const char *s);

/* The length, 1 to 4, of the UTF-8 sequence at the start of s (NUL-terminated); 0: none. */
size_t text_utf8_length(const char *s);

#endif
