/*
 * A program with a limit of a dozen descriptors keeps all of them: the shim takes none of the
 * lowest, reports in one line that it has no socket, and keeps sampling.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "life.h"

#define LIMIT  12
#define REPORT 3 /* standard error as at the start; what the shim prints goes to a pipe */

static void start_over(char **arguments)
{
	struct rlimit limit = {LIMIT, LIMIT};
	int said[2];
	CHECK(dup2(2, REPORT) == REPORT && pipe(said) == 0 && dup2(said[1], 2) == 2);
	for (int fd = REPORT + 1; fd < 64; fd++)
		if (fd != said[0])
			close(fd);
	CHECK(dup2(said[0], REPORT + 1) == REPORT + 1 && setrlimit(RLIMIT_NOFILE, &limit) == 0);
	setenv("LIFE_AGAIN", "1", 1);
	execv("/proc/self/exe", arguments);
	_exit(99);
}

int main(int count, char **arguments)
{
	char said[512] = "";
	if (count > 0 && !getenv("LIFE_AGAIN"))
		start_over(arguments);
	CHECK(dup2(REPORT, 2) == 2);
	CHECK(read(REPORT + 1, said, sizeof(said) - 1) > 0);
	CHECK(strstr(said, "too many open files") && strchr(said, '\n') == strrchr(said, '\n'));
	for (int fd = REPORT + 1; fd < LIMIT; fd++)
		CHECK(fcntl(fd, F_GETFD) == -1 || fd == REPORT + 1);
	for (int fd = REPORT + 2; fd < LIMIT; fd++)
		CHECK(open("/dev/null", O_RDONLY) == fd);
	for (int i = 0; i < 1000; i++) {
		errno = 77;
		free(malloc(7919));
		CHECK(errno == 77);
	}
	return 0;
}
