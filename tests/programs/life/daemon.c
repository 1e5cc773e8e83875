/*
 * The traditional daemon: fork, setsid, fork, close every descriptor. The daemon is a child of
 * fork, so the shim only passes through in it. It may use all descriptors, and the program that
 * it execs then is a separate program.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "life.h"

/* After exec: an ordinary process with its socket. */
static int be_the_program(void)
{
	void *p = malloc(7919);
	EXPECT(7919, 1, 1);
	free(p);
	EXPECT(7919, 1, 0);
	return 0;
}

static void *on_a_thread(void *arg)
{
	free(malloc(7001));
	return arg;
}

static void be_the_daemon(const char *self, const char *report, void *inherited)
{
	struct stat st;
	pthread_t thread;

	alarm(60);
	CHECK(setsid() > 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid > 0)
		_exit(0);
	CHECK(syscall(SYS_close_range, 0u, ~0u, 0u) == 0);
	CHECK(open("/dev/null", O_RDWR) == 0 && dup(0) == 1);
	CHECK(open(report, O_WRONLY | O_APPEND) == 2);
	free(inherited);
	CHECK(pthread_create(&thread, NULL, on_a_thread, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	for (int i = 0; i < 1000; i++)
		free(realloc(malloc(100), 200));
	/* No descriptor from a thread or socket that the shim might have created. */
	CHECK(fstat(3, &st) == -1 && errno == EBADF);
	CHECK(setenv("CGOHEAP_SOCKET", getenv("LIFE_SOCKET"), 1) == 0);
	execl(self, self, "program", (char *)NULL);
	_exit(1);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (argc > 1) {
		int status = be_the_program();
		CHECK(write(2, "done", 4) == 4);
		return status;
	}
	char report[] = "/tmp/cgoheap-life-XXXXXX", text[4096] = "";
	int fd = mkstemp(report), status;
	void *p = malloc(7919);
	CHECK(fd >= 0);
	EXPECT(7919, 1, 1);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		be_the_daemon(argv[0], report, p);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	/* The daemon has no parent that waits for it, so it reports in a file that it is
	 * done, or what was wrong. */
	while (pread(fd, text, sizeof(text) - 1, 0) == 0)
		usleep(20000);
	usleep(20000);
	CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
	unlink(report);
	if (strcmp(text, "done") != 0) {
		dprintf(2, "the daemon: %s\n", text);
		return 1;
	}
	EXPECT(7919, 1, 1);
	free(p);
	EXPECT(7919, 1, 0);
	return 0;
}
