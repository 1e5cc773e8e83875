/*
 * Reads a /proc file line by line with raw system calls: no stdio, one buffer from
 * scratch.
 */
#ifndef CGOHEAP_PROCFILE_H
#define CGOHEAP_PROCFILE_H

#include "base/base.h"
#include "region/region.h"

struct procfile {
	int fd; /* -1: none */
	char *buffer;
	size_t from, to;
	bool skipping; /* the rest of a line that was too long */
};

/* 0, or -1: unreadable, or out of scratch.  Close with procfile_close, which is safe after -1. */
int procfile_open(struct procfile *lines, struct scratch *scratch, const char *path);
/* The next line without its newline, NUL-terminated, valid until the next call; NULL at the end.
 * Skips lines longer than the buffer (16 KiB). */
char *procfile_next(struct procfile *lines);
void procfile_close(struct procfile *lines);

/* ---- parsing; each moves *at past what it read ---- */

bool procfile_skip(const char **at, char c);
/* Digits of base 10 or 16 (lower case); false: no digit. */
bool procfile_number(const char **at, unsigned base, uint64_t *out);
/* "N kB" after optional blanks, in bytes; false: no number. */
bool procfile_kib(const char *at, uint64_t *bytes);

/* Reads a file that holds one number; -1: unreadable, or not a number ("max"). */
int procfile_read_number(const char *path, uint64_t *out);

#endif
