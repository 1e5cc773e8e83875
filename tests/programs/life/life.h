/*
 * In addition to hooks.h: controls sampling, and provides a client that survives changes of the
 * host.
 */
#ifndef CGOHEAP_TESTS_LIFE_H
#define CGOHEAP_TESTS_LIFE_H

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "../hooks/hooks.h"

/* POST /v1/sampling?query; exits if the status is not 200. */
static inline void life_sampling(const char *query)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[512];
	ssize_t n;

	strncpy(a.sun_path, getenv("CGOHEAP_SOCKET"), sizeof(a.sun_path) - 1);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	int length = snprintf(
		text, sizeof(text),
		"POST /v1/sampling?%s HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n", query);
	CHECK(write(fd, text, (size_t)length) == length);
	n = read(fd, text, sizeof(text) - 1);
	CHECK(n > 12);
	text[n] = 0;
	CHECK(strncmp(text + 8, " 200", 4) == 0);
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

/*
 * A child that queries the figures of blocks of a size, with the root, user and directory of
 * before. As a child of fork it only passes through.
 */
struct life_client {
	pid_t pid;
	int ask, answer;
};

static inline void life_client_serve(int ask, int answer)
{
	size_t size;
	while (read(ask, &size, sizeof(size)) == sizeof(size)) {
		struct hooks_figures f = hooks_figures_of(size);
		CHECK(write(answer, &f, sizeof(f)) == sizeof(f));
	}
	_exit(0);
}

static inline struct life_client life_client_start(void)
{
	int ask[2], answer[2];
	CHECK(pipe(ask) == 0 && pipe(answer) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(ask[1]);
		life_client_serve(ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	return (struct life_client){pid, ask[1], answer[0]};
}

static inline struct hooks_figures life_client_ask(const struct life_client *c, size_t size)
{
	struct hooks_figures f = {0};
	CHECK(write(c->ask, &size, sizeof(size)) == sizeof(size));
	CHECK(read(c->answer, &f, sizeof(f)) == sizeof(f));
	return f;
}

static inline void life_client_end(const struct life_client *c)
{
	int status;
	close(c->ask);
	CHECK(waitpid(c->pid, &status, 0) == c->pid);
	CHECK(status == 0);
}

#endif
