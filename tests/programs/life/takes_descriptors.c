/*
 * A host that closes every descriptor, including the shim's, and opens its own files at the same
 * numbers: the shim leaves these alone, and the program keeps allocating.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "life.h"

#define FILES 64

static int connect_client(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(a.sun_path, getenv("CGOHEAP_SOCKET"), sizeof(a.sun_path) - 1);
	CHECK(fd >= 0);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) ? -1 : fd;
}

int main(void)
{
	char path[] = "/tmp/cgoheap-life-XXXXXX";
	int files[FILES], first = mkstemp(path);
	void *p = malloc(7919);
	EXPECT(7919, 1, 1);
	CHECK(first >= 0);
	/* A client that has sent half its request: a descriptor in use by the server. */
	int client = connect_client();
	CHECK(client >= 0 && write(client, "GET /debug", 10) == 10);
	usleep(50000);

	/* Like closefrom(3), but keeps standard error to report a failure. */
	CHECK(syscall(SYS_close_range, 3u, ~0u, 0u) == 0);
	for (int i = 0; i < FILES; i++) {
		files[i] = open(path, O_RDWR | O_APPEND);
		CHECK(files[i] >= 0);
	}
	/* Whenever the server wakes up, it finds descriptors that are not its own. */
	for (int i = 0; i < 10; i++) {
		int fd = connect_client();
		if (fd >= 0)
			close(fd);
		free(realloc(malloc(100), 200));
		usleep(20000);
	}
	struct stat all, one;
	CHECK(stat(path, &all) == 0 && all.st_size == 0);
	for (int i = 0; i < FILES; i++)
		CHECK(fstat(files[i], &one) == 0 && one.st_ino == all.st_ino);
	free(p);
	unlink(path);
	return 0;
}
