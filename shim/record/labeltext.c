/* See labeltext.h. */
#include "record/labeltext.h"

#include <stdio.h>
#include <string.h>

#include "text/text.h"

static uint32_t code_point(const char *s, size_t bytes)
{
	uint32_t code = bytes == 1 ? (uint8_t)s[0] : (uint8_t)s[0] & (0x7fu >> bytes);

	for (size_t i = 1; i < bytes; i++)
		code = code << 6 | ((uint8_t)s[i] & 0x3f);
	return code;
}

/* Moves a cursor, ends a line, changes the text direction or is invisible. */
static bool is_harmful(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
		{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},
	};

	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

/* At most four bytes per byte of the text, as LABELTEXT_BYTES assumes. */
static size_t escape_code(char *out, uint32_t code)
{
	if (code == '\n' || code == '\t' || code == '\r')
		return (size_t)sprintf(out, "\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
	return (size_t)sprintf(out, code < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)code);
}

static size_t escape_one(char *out, const char *s, size_t bytes, bool quoted)
{
	uint32_t code = bytes ? code_point(s, bytes) : 0;

	if (bytes == 0)
		return (size_t)sprintf(out, "\\x%02x", (unsigned)(uint8_t)*s);
	if (is_harmful(code))
		return escape_code(out, code);
	if (quoted && (code == '"' || code == '\\'))
		return (size_t)sprintf(out, "\\%c", (char)code);
	memcpy(out, s, bytes);
	return bytes;
}

/* Whether the text was cut in the middle of a character. */
static bool is_torn(const struct golabel_text *text, uint32_t at)
{
	uint8_t first = (uint8_t)text->bytes[at];
	uint32_t whole = first >= 0xf8   ? 0
			 : first >= 0xf0 ? 4
			 : first >= 0xe0 ? 3
			 : first >= 0xc0 ? 2
					 : 0;

	if (!text->is_cut || text->count - at >= whole)
		return false;
	while (++at < text->count)
		if (((uint8_t)text->bytes[at] & 0xc0) != 0x80)
			return false;
	return true;
}

void labeltext_escape(const struct golabel_text *text, bool quoted, char out[LABELTEXT_BYTES])
{
	char whole[GOLABELS_BYTES + 1]; /* NUL-terminated; no sequence goes beyond the NUL */

	memcpy(whole, text->bytes, text->count);
	whole[text->count] = 0;
	for (uint32_t at = 0; at < text->count;) {
		size_t bytes = text_utf8_length(whole + at);
		if (bytes == 0 && is_torn(text, at))
			break;
		out += escape_one(out, whole + at, bytes, quoted);
		at += bytes ? (uint32_t)bytes : 1;
	}
	strcpy(out, text->is_cut ? "..." : "");
}
