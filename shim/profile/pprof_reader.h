/*
 * A pprof profile field by field, from gzip: the other direction of pprof_stream.h.
 *
 * The bytes may be anything.  A field is in memory one at a time, a message unpacked until the
 * next is.
 */
#ifndef CGOHEAP_PPROF_READER_H
#define CGOHEAP_PPROF_READER_H

#include "profile.pb-c.h"
#include "base/base.h"
#include "text/gunzip.h"

/* Encoded field numbers of a Profile that are not in enum pprof_field. */
enum { PPROF_SAMPLE_TYPE = 1, PPROF_PERIOD_TYPE = 11, PPROF_PERIOD = 12 };

/* A string may be as long as this. */
#define PPROF_READER_BYTES (64 * KIB)
/* An unpacked message: protobuf-c needs about 50 bytes per field while parsing. */
#define PPROF_READER_ARENA (128 * KIB)

struct pprof_reader {
	struct gunzip *gunzip;
	size_t arena_used;
	uint8_t buffer[PPROF_READER_BYTES + 1];
	uint8_t arena[PPROF_READER_ARENA] __attribute__((aligned(16)));
};

struct pprof_read_field {
	uint64_t number;
	uint64_t value; /* of a varint */
	size_t bytes;   /* of a string or message: in the reader's buffer, a NUL behind them */
};

/* From the start, every field once; take is false where the field is not as it must be.
 * False: it is damaged. */
typedef bool pprof_take(void *arg, const struct pprof_read_field *field);
bool pprof_read_all(struct pprof_reader *reader, pprof_take *take, void *arg);

/* The message in the buffer, until the next; NULL: it is damaged, or too large. */
void *pprof_unpack(struct pprof_reader *reader, const ProtobufCMessageDescriptor *type,
		   const struct pprof_read_field *field);

#endif
