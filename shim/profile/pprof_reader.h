/*
 * Reads a gzip-compressed pprof profile field by field; the counterpart of pprof_stream.h.
 *
 * The bytes may be anything. Only one field is in memory at a time, and a message stays unpacked
 * until the next one.
 */
#ifndef CGOHEAP_PPROF_READER_H
#define CGOHEAP_PPROF_READER_H

#include "profile.pb-c.h"
#include "base/base.h"
#include "text/gunzip.h"

/* Encoded field numbers of a Profile that are not in enum pprof_field. */
enum { PPROF_SAMPLE_TYPE = 1, PPROF_PERIOD_TYPE = 11, PPROF_PERIOD = 12 };

/* The maximum length of a string. */
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
	size_t bytes;   /* of a string or message: in the reader's buffer, followed by a NUL */
};

/* From the start, calls take for every field once; take returns -1 if the field is not valid.
 * -1: the profile is damaged. */
typedef int pprof_take(void *arg, const struct pprof_read_field *field);
int pprof_read_all(struct pprof_reader *reader, pprof_take *take, void *arg);

/* The message in the buffer, valid until the next call. NULL: it is damaged, or too large. */
void *pprof_unpack(struct pprof_reader *reader, const ProtobufCMessageDescriptor *type,
		   const struct pprof_read_field *field);

#endif
