/* See pprof_reader.h. */
#include "profile/pprof_reader.h"

#include "profile/pprof_stream.h"

/* A larger message does not occur in a heap profile. */
#define MESSAGE_BYTES (16 * KIB)

/* The wire types in a field's key. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static int read_varint(struct pprof_reader *r, uint64_t *value)
{
	uint8_t byte = 0x80;

	*value = 0;
	for (unsigned shift = 0; shift < 64 && byte & 0x80; shift += 7) {
		if (gunzip_read(r->gunzip, &byte, 1))
			return -1;
		*value |= (uint64_t)(byte & 0x7f) << shift;
	}
	return byte & 0x80 ? -1 : 0;
}

static int read_bytes(struct pprof_reader *r, struct pprof_read_field *f)
{
	uint64_t bytes;

	if (read_varint(r, &bytes) || bytes > PPROF_READER_BYTES ||
	    gunzip_read(r->gunzip, r->buffer, bytes))
		return -1;
	r->buffer[bytes] = '\0';
	f->bytes = bytes;
	return 0;
}

static int read_field(struct pprof_reader *r, struct pprof_read_field *f)
{
	uint64_t key;

	*f = (struct pprof_read_field){0};
	if (read_varint(r, &key))
		return -1;
	f->number = key >> 3;
	bool is_message = f->number == PPROF_SAMPLE_TYPE || f->number == PPROF_PERIOD_TYPE ||
			  (f->number >= PPROF_SAMPLE && f->number <= PPROF_STRING);
	if (is_message && (key & 7) != BYTES)
		return -1;
	switch (key & 7) {
	case VARINT:
		return read_varint(r, &f->value);
	case FIXED64:
		return gunzip_read(r->gunzip, r->buffer, 8);
	case FIXED32:
		return gunzip_read(r->gunzip, r->buffer, 4);
	case BYTES:
		return read_bytes(r, f);
	default:
		return -1;
	}
}

int pprof_read_all(struct pprof_reader *r, pprof_take *take, void *arg)
{
	struct pprof_read_field f;

	gunzip_rewind(r->gunzip);
	while (gunzip_has_more(r->gunzip))
		if (read_field(r, &f) || take(arg, &f))
			return -1;
	return gunzip_is_whole(r->gunzip) ? 0 : -1;
}

static void *arena_alloc(void *arg, size_t bytes)
{
	struct pprof_reader *r = arg;

	bytes = ALIGN_UP(bytes, 16);
	if (bytes > sizeof(r->arena) - r->arena_used)
		return NULL;
	r->arena_used += bytes;
	return r->arena + r->arena_used - bytes;
}

static void arena_free(void *arg, void *p)
{
	(void)arg; /* freed as a whole when the next message is unpacked */
	(void)p;
}

void *pprof_unpack(struct pprof_reader *r, const ProtobufCMessageDescriptor *type,
		   const struct pprof_read_field *f)
{
	ProtobufCAllocator allocator = {
		.alloc = arena_alloc, .free = arena_free, .allocator_data = r};

	r->arena_used = 0;
	if (f->bytes > MESSAGE_BYTES)
		return NULL;
	return protobuf_c_message_unpack(type, &allocator, f->bytes, r->buffer);
}
