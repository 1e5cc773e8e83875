/*
 * Not a Go program and not enabled by variable: no thread, no socket, no region and no output,
 * whatever the environment contains.
 */
#include <dirent.h>

#include "hooks.h"

static int threads(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/task");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static bool has_socket(void)
{
	char link[64];
	for (int fd = 3; fd < 64; fd++) {
		char path[32];
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, link, sizeof(link) - 1);
		if (n > 0 && !strncmp(link, "socket:", 7))
			return true;
	}
	return false;
}

int main(void)
{
	void *p[100];
	for (size_t i = 0; i < 100; i++)
		p[i] = realloc(malloc(i * 100), i * 1000);
	for (size_t i = 0; i < 100; i++)
		free(p[i]);
	CHECK(strstr(getenv("LD_PRELOAD"), "libcgoheap.so"));
	CHECK(threads() == 1 && !has_socket());
	CHECK(access(getenv("CGOHEAP_SOCKET"), F_OK) == -1 && errno == ENOENT);
	return 0;
}
