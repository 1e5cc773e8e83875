/* See accept.h. */
#include "text/accept.h"

#include <string.h>

#include "base/ascii.h"

/* A part of a header: from text up to a separator, without the blanks around it. */
struct piece {
	const char *text;
	size_t bytes;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The piece up to separator or the end; moves past both. False: there is none left. */
static bool next_piece(struct piece *whole, char separator, struct piece *piece)
{
	if (whole->text == NULL)
		return false;
	const char *end = memchr(whole->text, separator, whole->bytes);
	*piece = (struct piece){whole->text, end ? (size_t)(end - whole->text) : whole->bytes};
	whole->bytes -= piece->bytes + (end != NULL);
	whole->text = end ? end + 1 : NULL;
	while (piece->bytes > 0 && is_blank(*piece->text))
		piece->text++, piece->bytes--;
	while (piece->bytes > 0 && is_blank(piece->text[piece->bytes - 1]))
		piece->bytes--;
	return true;
}

/* What follows name in the piece, which is as long as name or longer; NULL: it begins otherwise. */
static const char *after_name(const struct piece *piece, const char *name)
{
	size_t bytes = strlen(name);
	if (piece->bytes < bytes)
		return NULL;
	for (size_t i = 0; i < bytes; i++)
		if (ascii_lower(piece->text[i]) != name[i])
			return NULL;
	return piece->text + bytes;
}

/* "1", "0.5", "0.25" in thousandths; anything else is 0: such an entry is not taken. */
static unsigned parse_quality(const char *text, const char *end)
{
	if (text == end || *text < '0' || *text > '1')
		return 0;
	unsigned quality = *text++ == '1' ? 1000 : 0;
	if (text < end && *text++ != '.')
		return 0;
	for (unsigned unit = 100; text < end; text++, unit /= 10) {
		if (!ascii_is_digit(*text) || unit == 0)
			return 0;
		quality += (unsigned)(*text - '0') * unit;
	}
	return quality <= 1000 ? quality : 0;
}

static bool is_exactly(const struct piece *piece, const char *text, size_t from)
{
	return piece->bytes == from + strlen(text) &&
	       memcmp(piece->text + from, text, piece->bytes - from) == 0;
}

/* Of one entry: type;parameter=value;q=0.5 */
static unsigned entry_quality(struct piece entry, const char *type, const char *version)
{
	struct piece piece;
	unsigned quality = 1000;
	if (!next_piece(&entry, ';', &piece) || piece.bytes != strlen(type) ||
	    !after_name(&piece, type))
		return 0;
	while (next_piece(&entry, ';', &piece)) {
		const char *value = after_name(&piece, "q=");
		if (value)
			quality = parse_quality(value, piece.text + piece.bytes);
		else if (after_name(&piece, "version=") &&
			 !is_exactly(&piece, version, strlen("version=")))
			return 0;
	}
	return quality;
}

unsigned accept_quality(const char *accept, const char *type, const char *version)
{
	struct piece whole = {accept, accept ? strlen(accept) : 0}, entry;
	unsigned best = 0;
	while (next_piece(&whole, ',', &entry)) {
		unsigned quality = entry_quality(entry, type, version);
		best = quality > best ? quality : best;
	}
	return best;
}
