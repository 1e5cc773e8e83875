/*
 * Text in ASCII: letters, prefixes and numbers, without the host's locale and without libc's
 * functions that follow it. Any thread; async-signal-safe.
 */
#ifndef CGOHEAP_ASCII_H
#define CGOHEAP_ASCII_H

#include <string.h>

#include "base/base.h"

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What follows prefix in text; NULL if text does not begin with it. */
static inline const char *ascii_after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

static inline bool ascii_begins(const char *text, const char *prefix)
{
	return ascii_after(text, prefix) != NULL;
}

/* The digits at *text, in decimal; moves past them. False: there are none, or more than 64 bits. */
static inline bool ascii_number(const char **text, uint64_t *value)
{
	const char *p = *text;

	for (*value = 0; ascii_is_digit(*p); p++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*p - '0'), value))
			return false;
	bool any = p != *text;
	*text = p;
	return any;
}

/* As much of text as fits, and a NUL; bytes: the size of out, at least 1. */
static inline void ascii_copy(char *out, size_t bytes, const char *text)
{
	size_t n = 0; /* not strnlen: gcc says that its bound exceeds a literal's size */

	while (n < bytes - 1 && text[n] != '\0')
		n++;
	memcpy(out, text, n);
	out[n] = '\0';
}

#endif
