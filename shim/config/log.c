#include "config/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/sys.h"

const char *log_quote(char out[LOG_QUOTE_BYTES], const char *text)
{
	/* 4 for one more escape, 4 for `..."`, 1 for the NUL */
	const size_t room = LOG_QUOTE_BYTES - 9;
	size_t n = 0;
	out[n++] = '"';
	while (*text != '\0' && n < room) {
		unsigned char c = (unsigned char)*text++;
		if (c == '"' || c == '\\')
			out[n++] = '\\';
		if (c >= ' ' && c <= '~')
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
	}
	strcpy(out + n, *text != '\0' ? "...\"" : "\"");
	return out;
}

/*
 * A write to a full pipe would block the host, and one to a broken pipe would kill it
 * by SIGPIPE.  A pipe that polls writable has room for PIPE_BUF bytes.
 */
static bool stderr_is_ready(void)
{
	struct pollfd p = {.fd = 2, .events = POLLOUT};
	struct timespec now = {0, 0};
	return sys_call(ppoll, &p, 1, &now) == 1 && p.revents == POLLOUT;
}

void log_complain(const char *format, ...)
{
	char line[512] = "cgoheap: ";
	const size_t start = strlen(line);
	int saved_errno = errno;
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line + start, sizeof(line) - start, format, args);
	va_end(args);
	errno = saved_errno;
	if (n < 0 || !stderr_is_ready())
		return;
	size_t end = start + (size_t)n;
	if (end > sizeof(line) - 1)
		end = sizeof(line) - 1;
	line[end] = '\n';
	sys_write(2, line, end + 1);
}

/* Not strerror: it may read message catalogues, which allocates. */
const char *log_error_text(long error, char number[LOG_ERROR_BYTES])
{
	static const struct {
		int error;
		const char *text;
	} texts[] = {
		{EACCES, "permission denied"},
		{EPERM, "not permitted"},
		{ENOENT, "no such directory"},
		{ENOTDIR, "a part of the path is not a directory"},
		{EROFS, "read-only file system"},
		{ENOSPC, "no space left"},
		{EDQUOT, "quota exceeded"},
		{ENAMETOOLONG, "name too long"},
		{ELOOP, "too many symbolic links"},
		{EADDRINUSE, "in use"},
		{EADDRNOTAVAIL, "address not available"},
		{EMFILE, "too many open files"},
		{ENFILE, "too many open files in the system"},
		{EAFNOSUPPORT, "socket family not supported"},
		{ENOMEM, "out of memory"},
		{EAGAIN, "too many threads or processes"},
	};
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (texts[i].error == error)
			return texts[i].text;
	snprintf(number, LOG_ERROR_BYTES, "error %ld", error);
	return number;
}
