/*
 * Programs that the program starts inherit the preload, and neither notice it nor print
 * anything.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "hooks.h"

extern char **environ;

static void run(int (*start)(void))
{
	int status = start();
	CHECK(status == 0);
}

static int by_system(void)
{
	return system("ls / | sort | tail -1 >/dev/null");
}

static int by_posix_spawn(void)
{
	char *argv[] = {"sh", "-c", "exit 0", NULL};
	int status = -1;
	pid_t pid;
	CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static int by_vfork(void)
{
	int status = -1;
	pid_t pid = vfork();
	CHECK(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
		_exit(127);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

int main(void)
{
	void *p = malloc(7919);
	unsetenv("CGOHEAP_ANY"); /* for the children: they are not Go programs */
	run(by_system);
	run(by_posix_spawn);
	run(by_vfork);
	EXPECT(7919, 1, 1);
	free(p);
	EXPECT(7919, 1, 0);
	return 0;
}
