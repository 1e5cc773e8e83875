/*
 * A host started without standard descriptors and with a low limit: the shim never keeps
 * descriptor 0, 1 or 2 (the host's next open may need that number, and what it writes to 2 must
 * not reach a client), and everything works.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "life.h"

#define LIMIT  40
#define REPORT 3 /* standard error as at the start, above the closed ones */

static void start_over(char **arguments)
{
	struct rlimit limit = {LIMIT, LIMIT};
	CHECK(dup2(2, REPORT) == REPORT && setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (int fd = 0; fd < LIMIT; fd++)
		if (fd != REPORT)
			close(fd);
	setenv("LIFE_AGAIN", "1", 1);
	execv("/proc/self/exe", arguments);
	_exit(99);
}

/* A client that has sent half a request: one more descriptor in the server as long as it lives. */
static pid_t half_a_client(void)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(a.sun_path, getenv("CGOHEAP_SOCKET"), sizeof(a.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) || write(fd, "GET /debug", 10) != 10)
		_exit(1);
	pause();
	_exit(0);
}

/* Whether the library keeps this low number.  A new descriptor has one until it is moved up. */
static int is_kept(int fd)
{
	for (int i = 0; i < 200; i++) {
		if (fcntl(fd, F_GETFD) == -1)
			return 0;
		usleep(5000);
	}
	return 1;
}

/* The number of the shim's descriptors; the host has none but REPORT. */
static int shims_descriptors(void)
{
	int kept = 0;
	for (int fd = 0; fd < LIMIT; fd++) {
		int flags = fcntl(fd, F_GETFD);
		if (flags == -1 || fd == REPORT || (fd < 12 && !is_kept(fd)))
			continue;
		if (fd < 12 || !(flags & FD_CLOEXEC)) {
			dprintf(REPORT, "descriptor %d, flags %d\n", fd, flags);
			_exit(1);
		}
		kept++;
	}
	return kept;
}

int main(int count, char **arguments)
{
	int before;
	if (count > 0 && !getenv("LIFE_AGAIN"))
		start_over(arguments);
	void *p = malloc(7919);
	before = shims_descriptors();
	pid_t client = half_a_client();
	for (int i = 0; i < 500 && shims_descriptors() == before; i++)
		usleep(10000);
	int with_client = shims_descriptors();
	kill(client, SIGKILL);
	waitpid(client, NULL, 0);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(REPORT, fd) != fd)
			return 1;
	CHECK(before > 0 && with_client > before);
	EXPECT(7919, 1, 1);
	free(p);
	EXPECT(7919, 1, 0);
	return 0;
}
