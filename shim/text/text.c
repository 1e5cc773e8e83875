/*
 * See text.h.  vsnprintf is the only libc function used; with only integers and strings
 * it does not allocate.
 */
#include "text/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_init(struct text *t, struct sink *sink)
{
	t->sink = sink;
	t->used = 0;
	t->flushed = 0;
	t->failed = false;
}

int text_flush(struct text *t)
{
	if (!t->failed && t->used && t->sink->write(t->sink, t->buffer, t->used) < 0)
		t->failed = true;
	t->flushed += t->used;
	t->used = 0;
	return t->failed ? -1 : 0;
}

static void write_bytes(struct text *t, const char *bytes, size_t count)
{
	while (count && !t->failed) {
		size_t room = sizeof(t->buffer) - t->used;
		size_t n = count < room ? count : room;
		memcpy(t->buffer + t->used, bytes, n);
		t->used += n;
		bytes += n;
		count -= n;
		if (t->used == sizeof(t->buffer))
			text_flush(t);
	}
}

void text_string(struct text *t, const char *s)
{
	write_bytes(t, s, strlen(s));
}

void text_printf(struct text *t, const char *format, ...)
{
	if (sizeof(t->buffer) - t->used < TEXT_PRINTF_BYTES)
		text_flush(t);
	if (t->failed)
		return;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(t->buffer + t->used, TEXT_PRINTF_BYTES, format, args);
	va_end(args);
	if (n > 0)
		t->used += n < TEXT_PRINTF_BYTES ? (size_t)n : TEXT_PRINTF_BYTES - 1;
}

/* The lowest code point that needs n bytes; a longer encoding of a lower one is not UTF-8. */
static bool utf8_is_canonical(uint32_t code, size_t n)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
	return code >= lowest[n] && code <= 0x10ffff && !is_surrogate;
}

size_t text_utf8_length(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >> 5 == 0x6 ? 2 : p[0] >> 4 == 0xe ? 3 : p[0] >> 3 == 0x1e ? 4 : 0;
	if (n == 0)
		return 0;
	uint32_t code = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) /* also at the NUL */
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	return utf8_is_canonical(code, n) ? n : 0;
}

void text_json_string(struct text *t, const char *s)
{
	if (!s || !*s) {
		text_string(t, "null");
		return;
	}
	text_string(t, "\"");
	while (*s) {
		size_t n = text_utf8_length(s);
		if (n == 0)
			text_string(t, "\\ufffd");
		else if (*s == '"' || *s == '\\')
			text_printf(t, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			text_printf(t, "\\u%04x", (unsigned)(unsigned char)*s);
		else
			write_bytes(t, s, n);
		s += n ? n : 1;
	}
	text_string(t, "\"");
}
