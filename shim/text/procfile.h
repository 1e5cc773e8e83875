/*
 * A file of /proc, line by line, read raw: no stdio, no allocation beyond one
 * buffer in scratch.
 */
#ifndef CGOHEAP_PROCFILE_H
#define CGOHEAP_PROCFILE_H

#include "base/base.h"
#include "region/region.h"

struct procfile {
	int fd; /* -1: none */
	char *buffer;
	size_t from, to;
	bool skipping; /* in the rest of a line that was too long */
};

/* 0, or -1: not readable, or scratch exhausted.  Closed by procfile_close, which is safe after -1.
 */
int procfile_open(struct procfile *lines, struct scratch *scratch, const char *path);
/* The next line without its newline, NUL-terminated, until the next call; NULL at the end.
 * A line that does not fit the buffer (16 KiB) is left out. */
char *procfile_next(struct procfile *lines);
void procfile_close(struct procfile *lines);

/* ---- reading along a line; each moves *at past what it took ---- */

bool procfile_skip(const char **at, char c);
/* Digits of base 10 or 16 (lower case); false: none. */
bool procfile_number(const char **at, unsigned base, uint64_t *out);
/* After optional blanks: "N kB" as bytes; false: no number there. */
bool procfile_kib(const char *at, uint64_t *bytes);

/* A file that holds one number; false: unreadable or something else ("max"). */
bool procfile_read_number(const char *path, uint64_t *out);

#endif
