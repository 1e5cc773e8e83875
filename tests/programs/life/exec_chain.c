/*
 * One process becomes several programs, including shells, and keeps its PID, so the name of its
 * socket: each program takes over the name and is sampled from its start.
 */
#include "life.h"

#define PROGRAMS 4

/* The shim's default name; hooks.h reads it from the environment. */
static void name_socket(void)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/cgoheap-%d/%d.sock", getenv("XDG_RUNTIME_DIR"),
		 (int)getuid(), (int)getpid());
	CHECK(setenv("CGOHEAP_SOCKET", path, 1) == 0);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 0;
	char command[512];
	name_socket();
	void *p = malloc(7919);
	EXPECT(7919, 1, 1);
	free(p);
	EXPECT(7919, 1, 0);
	if (n == PROGRAMS)
		return 0;
	/* Also a pipeline, whose children exec beside the shell that execs later. */
	snprintf(command, sizeof(command), "ls / | cat >/dev/null; exec sh -c 'exec %s %d'",
		 argv[0], n + 1);
	unsetenv("CGOHEAP_SOCKET");
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	return 1;
}
