/*
 * Streams a pprof profile: encodes messages, compresses them with gzip into a sink, and numbers
 * strings and functions.
 *
 * A Profile message is just a sequence of its fields, so it is never whole in memory: each field
 * is encoded by itself into a small buffer. Only the string table waits until the end, and it
 * holds pointers.
 */
#ifndef CGOHEAP_PPROF_STREAM_H
#define CGOHEAP_PPROF_STREAM_H

#include "text/gzip.h"
#include "profile/profile_job.h"

/* Field numbers of the messages in a Profile; PPROF_TOP: fields of the Profile itself. */
enum pprof_field {
	PPROF_TOP = 0,
	PPROF_SAMPLE = 2,
	PPROF_MAPPING = 3,
	PPROF_LOCATION = 4,
	PPROF_FUNCTION = 5,
	PPROF_STRING = 6,
};

struct pprof_function {
	int64_t name, file, start_line; /* string ids */
};

struct pprof_strings {
	struct index index;
	const char **list;
	uint32_t count, capacity;
};

struct pprof_functions {
	struct index index;
	struct pprof_function *list;
	uint32_t count, capacity;
};

/* Strings that follow the table instead of being in it: count of them, written by write. */
struct pprof_tail {
	struct pprof_tail *next;
	uint32_t count;
	void (*write)(void *arg);
	void *arg;
};

struct pprof_stream {
	struct gzip *gzip;
	struct scratch *scratch;
	uint8_t *buffer;
	struct pprof_strings strings;
	struct pprof_functions functions;
	struct pprof_tail *tails; /* newest first */
	uint32_t tail_count, tail_strings;
	bool partial; /* something was left out because scratch ran out */
};

/* -1: not enough scratch for any profile at all; nothing is written yet. */
int pprof_open(struct pprof_stream *stream, struct scratch *scratch, struct sink *sink);

/* Makes room for the names of this many source lines, or as many as scratch allows, and for
 * strings other strings. */
void pprof_reserve(struct pprof_stream *stream, uint64_t lines, uint32_t strings);

/* Encodes and writes a protobuf-c message. */
void pprof_write(struct pprof_stream *stream, enum pprof_field field, const void *message);

/* The id of s, which must stay valid until pprof_close; 0 (the empty string) if the table is
 * full. */
int64_t pprof_string(struct pprof_stream *stream, const char *s);

/* The same for a temporary text: it is copied if it is new. */
int64_t pprof_string_copy(struct pprof_stream *stream, const char *s);

/* The id of s if it is in the table, otherwise -1. s may be temporary. */
int64_t pprof_find_string(const struct pprof_stream *stream, const char *s);

/*
 * The id of tail's first string; the others follow it. pprof_close calls tail->write, which
 * writes all of them by pprof_write_string. After this, pprof_string finds strings in the table
 * but adds none.
 */
int64_t pprof_append(struct pprof_stream *stream, struct pprof_tail *tail);
void pprof_write_string(struct pprof_stream *stream, const char *s);

/* The function's id. The function is written on first use. 0: it has no name, or there is no
 * room. */
uint64_t pprof_function(struct pprof_stream *stream, const struct pprof_function *f);

void pprof_comment(struct pprof_stream *stream, const char *text);

/* Writes the string table, a comment if the profile is partial, and the end. */
int pprof_close(struct pprof_stream *stream);

#endif
