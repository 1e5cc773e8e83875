/* See pprof_stream.h. */
#include "profile/pprof_stream.h"

#include <string.h>

#include "profile.pb-c.h"
#include "text/text.h"

/* A sample has at most GOHEAP_MAX_FRAMES ids of 5 bytes, a location about 200 lines of 30. A
 * larger message is a mistake and is left out. */
#define MESSAGE_BYTES 8192

/* Strings that do not depend on the number of symbols; added before symbols are read. */
#define BASIC_STRINGS 1024

/* ---- encoding --------------------------------------------------------- */

#define VARINT_BYTES 10

static size_t varint_bytes(uint64_t value)
{
	return (70 - (size_t)__builtin_clzll(value | 1)) / 7;
}

static uint8_t *varint(uint8_t *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*out++ = (uint8_t)(value | 0x80);
	*out++ = (uint8_t)value;
	return out;
}

/* Wire type 2, length-delimited: messages, strings and packed numbers. */
static uint8_t *length(uint8_t *out, uint32_t field, size_t bytes)
{
	return varint(varint(out, field << 3 | 2), bytes);
}

static void write_header(struct pprof_stream *s, enum pprof_field field, size_t bytes)
{
	uint8_t header[2 * VARINT_BYTES];
	gzip_write(s->gzip, header, (size_t)(length(header, field, bytes) - header));
}

/* ---- samples ---------------------------------------------------------- */

/* Field numbers of Sample and Label. */
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum { LABEL_KEY = 1, LABEL_STR = 2, LABEL_NUM = 3, LABEL_UNIT = 4, LABEL_FIELDS = 4 };

static size_t packed_bytes(const uint64_t *numbers, size_t count)
{
	size_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		bytes += varint_bytes(numbers[i]);
	return bytes;
}

static uint8_t *packed(uint8_t *out, uint32_t field, const uint64_t *numbers, size_t count,
		       size_t bytes)
{
	if (!count)
		return out;
	out = length(out, field, bytes);
	for (size_t i = 0; i < count; i++)
		out = varint(out, numbers[i]);
	return out;
}

/* Fields of 0 are left out. */
static uint8_t *label(uint8_t *out, const Pprof__Label *l)
{
	const int64_t fields[] = {
		[LABEL_KEY] = l->key,
		[LABEL_STR] = l->str,
		[LABEL_NUM] = l->num,
		[LABEL_UNIT] = l->num_unit,
	};
	size_t bytes = 0;
	for (size_t i = 1; i < COUNT_OF(fields); i++)
		bytes += fields[i] ? 1 + varint_bytes((uint64_t)fields[i]) : 0;
	out = length(out, SAMPLE_LABEL, bytes);
	for (size_t i = 1; i < COUNT_OF(fields); i++)
		if (fields[i])
			out = varint(varint(out, i << 3), (uint64_t)fields[i]);
	return out;
}

/* Most bytes of a profile are location ids of samples, on which protobuf-c spends 60 instructions
 * each. -1: larger than the buffer. */
static ptrdiff_t pack_sample(const Pprof__Sample *p, uint8_t *buffer)
{
	const uint64_t *values = (const uint64_t *)p->value;
	size_t id_bytes = packed_bytes(p->location_id, p->n_location_id);
	size_t value_bytes = packed_bytes(values, p->n_value);
	size_t others = 2 + (1 + LABEL_FIELDS) * p->n_label; /* each with its header */
	if (id_bytes + value_bytes + others * 2 * VARINT_BYTES > MESSAGE_BYTES)
		return -1;
	uint8_t *out = packed(buffer, SAMPLE_LOCATION, p->location_id, p->n_location_id, id_bytes);
	out = packed(out, SAMPLE_VALUE, values, p->n_value, value_bytes);
	for (size_t i = 0; i < p->n_label; i++)
		out = label(out, p->label[i]);
	return out - buffer;
}

static ptrdiff_t pack(const ProtobufCMessage *message, uint8_t *buffer)
{
	if (protobuf_c_message_get_packed_size(message) > MESSAGE_BYTES)
		return -1;
	return (ptrdiff_t)protobuf_c_message_pack(message, buffer);
}

void pprof_write(struct pprof_stream *s, enum pprof_field field, const void *message)
{
	ptrdiff_t bytes =
		field == PPROF_SAMPLE ? pack_sample(message, s->buffer) : pack(message, s->buffer);
	if (bytes < 0) {
		s->partial = true;
		return;
	}
	if (field != PPROF_TOP)
		write_header(s, field, (size_t)bytes);
	gzip_write(s->gzip, s->buffer, (size_t)bytes);
}

/* A string that is not UTF-8 would make strict readers reject the whole profile. */
void pprof_write_string(struct pprof_stream *s, const char *text)
{
	write_header(s, PPROF_STRING, strlen(text));
	const char *start = text;
	while (*text) {
		size_t n = text_utf8_length(text);
		if (n == 0) {
			gzip_write(s->gzip, start, (size_t)(text - start));
			gzip_write(s->gzip, "?", 1);
			start = text + 1;
		}
		text += n ? n : 1;
	}
	gzip_write(s->gzip, start, (size_t)(text - start));
}

/* ---- strings ---------------------------------------------------------- */

static uint64_t string_hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h;
}

/* The slot that has text, or the free slot where it belongs. */
static uint32_t *string_slot(const struct pprof_strings *t, const char *text)
{
	uint32_t slot = index_first(&t->index, string_hash(text));
	for (uint32_t n; (n = t->index.slots[slot]); slot = index_next(&t->index, slot))
		if (strcmp(t->list[n - 1], text) == 0)
			break;
	return &t->index.slots[slot];
}

static int64_t string_add(struct pprof_stream *s, uint32_t *slot, const char *text)
{
	struct pprof_strings *t = &s->strings;
	if (!text || t->count == t->capacity || s->tails) {
		s->partial = true;
		return 0;
	}
	t->list[t->count++] = text;
	*slot = t->count;
	return t->count - 1;
}

int64_t pprof_find_string(const struct pprof_stream *s, const char *text)
{
	uint32_t n = *text ? *string_slot(&s->strings, text) : 1;
	return (int64_t)n - 1;
}

int64_t pprof_string(struct pprof_stream *s, const char *text)
{
	if (!text || !*text)
		return 0;
	uint32_t *slot = string_slot(&s->strings, text);
	return *slot ? *slot - 1 : string_add(s, slot, text);
}

int64_t pprof_string_copy(struct pprof_stream *s, const char *text)
{
	if (!*text)
		return 0;
	uint32_t *slot = string_slot(&s->strings, text);
	return *slot ? *slot - 1
		     : string_add(s, slot, scratch_strdup(s->scratch, text, strlen(text)));
}

int64_t pprof_append(struct pprof_stream *s, struct pprof_tail *tail)
{
	int64_t first = (int64_t)s->strings.count + s->tail_strings;
	tail->next = s->tails;
	s->tails = tail;
	s->tail_count++;
	s->tail_strings += tail->count;
	return first;
}

static int strings_init(struct scratch *scratch, struct pprof_strings *t, uint32_t capacity)
{
	struct pprof_strings fresh = {.capacity = capacity};
	fresh.list = scratch_alloc(scratch, capacity * sizeof(*fresh.list));
	if (!fresh.list || index_init(scratch, &fresh.index, capacity))
		return -1;
	fresh.list[0] = ""; /* in no slot: pprof_string handles it itself */
	fresh.count = 1;
	*t = fresh;
	return 0;
}

/* Strings in the table keep their ids. */
static void strings_grow(struct pprof_stream *s, uint32_t capacity)
{
	struct pprof_strings old = s->strings;
	if (capacity <= old.capacity)
		return;
	if (strings_init(s->scratch, &s->strings, capacity)) {
		s->partial = true;
		return;
	}
	for (uint32_t i = 1; i < old.count; i++)
		pprof_string(s, old.list[i]);
}

/* ---- functions -------------------------------------------------------- */

static int functions_init(struct scratch *scratch, struct pprof_functions *t, uint32_t capacity)
{
	struct pprof_functions fresh = {.capacity = capacity};
	fresh.list = scratch_alloc(scratch, capacity * sizeof(*fresh.list));
	if (!fresh.list || index_init(scratch, &fresh.index, capacity))
		return -1;
	*t = fresh;
	return 0;
}

static void write_function(struct pprof_stream *s, uint64_t id, const struct pprof_function *f)
{
	Pprof__Function p = PPROF__FUNCTION__INIT;
	p.id = id;
	p.name = f->name;
	p.system_name = f->name;
	p.filename = f->file;
	p.start_line = f->start_line;
	pprof_write(s, PPROF_FUNCTION, &p);
}

uint64_t pprof_function(struct pprof_stream *s, const struct pprof_function *f)
{
	struct pprof_functions *t = &s->functions;
	if (!f->name || !t->capacity)
		return 0;
	uint64_t hash =
		((uint64_t)f->name << 32) ^ ((uint64_t)f->file << 16) ^ (uint64_t)f->start_line;
	uint32_t slot = index_first(&t->index, hash);
	for (uint32_t n; (n = t->index.slots[slot]); slot = index_next(&t->index, slot))
		if (memcmp(&t->list[n - 1], f, sizeof(*f)) == 0)
			return n;
	if (t->count == t->capacity) {
		s->partial = true;
		return 0;
	}
	t->list[t->count++] = *f;
	t->index.slots[slot] = t->count;
	write_function(s, t->count, f);
	return t->count;
}

/* ---- the profile ------------------------------------------------------ */

int pprof_open(struct pprof_stream *s, struct scratch *scratch, struct sink *sink)
{
	*s = (struct pprof_stream){.scratch = scratch};
	s->buffer = scratch_alloc(scratch, MESSAGE_BYTES);
	s->gzip = gzip_open(scratch, sink, GZIP_LARGE);
	if (!s->buffer || !s->gzip)
		return -1;
	return strings_init(scratch, &s->strings, BASIC_STRINGS);
}

/* A line has at most two strings and one function, so no table grows while it is used. */
void pprof_reserve(struct pprof_stream *s, uint64_t lines, uint32_t strings)
{
	if (lines > UINT32_MAX / 8)
		lines = UINT32_MAX / 8;
	strings_grow(s, s->strings.count + 2 * (uint32_t)lines + strings);
	for (uint64_t n = lines; n; n /= 2)
		if (functions_init(s->scratch, &s->functions, (uint32_t)n) == 0)
			return;
}

static void write_comment(struct pprof_stream *s, int64_t string)
{
	Pprof__Profile p = PPROF__PROFILE__INIT;
	p.n_comment = 1;
	p.comment = &string;
	pprof_write(s, PPROF_TOP, &p);
}

void pprof_comment(struct pprof_stream *s, const char *text)
{
	int64_t id = pprof_string(s, text);
	if (id)
		write_comment(s, id);
}

/* In the order in which they were appended. */
static void write_tails(const struct pprof_tail *newest)
{
	const struct pprof_tail *before = NULL, *tail;
	for (; before != newest; before = tail) {
		for (tail = newest; tail->next != before; tail = tail->next)
			;
		tail->write(tail->arg);
	}
}

int pprof_close(struct pprof_stream *s)
{
	for (uint32_t i = 0; i < s->strings.count; i++)
		pprof_write_string(s, s->strings.list[i]);
	write_tails(s->tails);
	if (s->partial || s->scratch->exhausted) {
		/* Needs no room in the table: it is written directly after it. */
		pprof_write_string(s, PROFILE_PARTIAL_COMMENT);
		write_comment(s, (int64_t)s->strings.count + s->tail_strings);
	}
	return gzip_close(s->gzip);
}
