/* A badly behaved client for the server, and a way to catch stderr. */
#ifndef CGOHEAP_TESTS_CLIENT_H
#define CGOHEAP_TESTS_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A connected socket, or -1. */
static inline int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int connect_tcp(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Sends everything, or as much as the other side accepts. */
static inline void send_bytes(int fd, const char *bytes, size_t count)
{
	ssize_t n;
	while (count > 0 && (n = send(fd, bytes, count, MSG_NOSIGNAL)) > 0) {
		bytes += n;
		count -= (size_t)n;
	}
}

static inline void send_text(int fd, const char *text)
{
	send_bytes(fd, text, strlen(text));
}

/* A complete response: head and body are NUL-terminated, in one block to free. */
struct response {
	char *bytes;
	size_t count;
	int status;
	const char *head, *body;
	size_t body_bytes;
	bool clean_end; /* closed, not reset */
};

/* Reads to the end; closes fd. */
static inline struct response receive_response(int fd)
{
	struct response r = {0};
	size_t room = 1 << 16;
	ssize_t n;
	r.bytes = malloc(room + 1);
	while ((n = recv(fd, r.bytes + r.count, room - r.count, 0)) > 0) {
		r.count += (size_t)n;
		if (r.count == room)
			r.bytes = realloc(r.bytes, (room *= 2) + 1);
	}
	r.clean_end = n == 0;
	close(fd);
	r.bytes[r.count] = '\0';
	r.head = r.body = r.bytes;
	char *end = strstr(r.bytes, "\r\n\r\n");
	if (end != NULL && sscanf(r.bytes, "HTTP/1.1 %d ", &r.status) == 1) {
		end[2] = '\0';
		r.body = end + 4;
		r.body_bytes = r.count - (size_t)(r.body - r.bytes);
	}
	return r;
}

static inline struct response ask(int fd, const char *request)
{
	send_text(fd, request);
	return receive_response(fd);
}

/* ---- stderr, caught in a pipe ------------------------------------------- */

static struct {
	int saved, pipe[2];
	char text[8192];
} caught;

static inline void catch_stderr(void)
{
	fflush(stderr);
	caught.saved = dup(2);
	if (pipe(caught.pipe) != 0)
		abort();
	dup2(caught.pipe[1], 2);
}

/* What has been written since catch_stderr; at most a pipe's capacity. */
static inline const char *caught_stderr(void)
{
	size_t n = 0;
	ssize_t got;
	dup2(caught.saved, 2);
	close(caught.saved);
	close(caught.pipe[1]);
	while ((got = read(caught.pipe[0], caught.text + n, sizeof(caught.text) - 1 - n)) > 0)
		n += (size_t)got;
	close(caught.pipe[0]);
	caught.text[n] = '\0';
	return caught.text;
}

#endif
