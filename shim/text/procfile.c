/* See procfile.h. */
#include "text/procfile.h"

#include <string.h>

#include "base/sys.h"

#define BUFFER_BYTES (16 * KIB)

int procfile_open(struct procfile *l, struct scratch *scratch, const char *path)
{
	*l = (struct procfile){.fd = -1, .buffer = scratch_alloc(scratch, BUFFER_BYTES)};
	if (!l->buffer)
		return -1;
	long fd = sys_open_read(path);
	if (sys_failed(fd))
		return -1;
	l->fd = (int)fd;
	return 0;
}

void procfile_close(struct procfile *l)
{
	if (l->fd >= 0)
		sys_close(l->fd);
	l->fd = -1;
}

/* -1 at the end of the file.  The kernel returns whole records, a page at a time. */
static int fill(struct procfile *l)
{
	memmove(l->buffer, l->buffer + l->from, l->to - l->from);
	l->to -= l->from;
	l->from = 0;
	if (l->to == BUFFER_BYTES) {
		l->to = 0;
		l->skipping = true;
	}
	long n = sys_read(l->fd, l->buffer + l->to, BUFFER_BYTES - l->to);
	if (sys_failed(n) || n == 0)
		return -1;
	l->to += (size_t)n;
	return 0;
}

/* The rest of the file, if its last line has no newline. */
static char *last_line(struct procfile *l)
{
	if (l->from == l->to || l->to == BUFFER_BYTES || l->skipping)
		return NULL;
	char *line = l->buffer + l->from;
	l->buffer[l->to] = 0;
	l->from = l->to;
	return line;
}

char *procfile_next(struct procfile *l)
{
	if (l->fd < 0)
		return NULL;
	for (;;) {
		char *line = l->buffer + l->from, *end = memchr(line, '\n', l->to - l->from);
		if (!end) {
			if (fill(l))
				return last_line(l);
			continue;
		}
		*end = 0;
		l->from = (size_t)(end - l->buffer) + 1;
		if (!l->skipping)
			return line;
		l->skipping = false;
	}
}

bool procfile_skip(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

bool procfile_number(const char **at, unsigned base, uint64_t *out)
{
	const char *start = *at;
	uint64_t n = 0;
	for (;; (*at)++) {
		unsigned c = (unsigned char)**at, digit = c - '0';
		if (digit > 9)
			digit = base == 16 && c >= 'a' && c <= 'f' ? c - 'a' + 10 : base;
		if (digit >= base)
			break;
		n = n * base + digit;
	}
	*out = n;
	return *at > start;
}

bool procfile_kib(const char *at, uint64_t *bytes)
{
	while (*at == ' ' || *at == '\t')
		at++;
	if (!procfile_number(&at, 10, bytes))
		return false;
	*bytes *= KIB;
	return true;
}

int procfile_read_number(const char *path, uint64_t *out)
{
	char text[32];
	const char *at = text;
	long fd = sys_open_read(path);
	if (sys_failed(fd))
		return -1;
	long n = sys_read((int)fd, text, sizeof(text) - 1);
	sys_close((int)fd);
	text[sys_failed(n) ? 0 : n] = 0;
	return procfile_number(&at, 10, out) && (*at == 0 || *at == '\n') ? 0 : -1;
}
