/*
 * CGOHEAP_FOLLOW_FORK=1: children of fork, created while other threads allocate, map and create
 * threads, keep profiling: with the parent's records, and with their own socket, threads and
 * children. The parent does not notice.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "life.h"

static int stop;
static char parents_socket[256];

static void *nothing(void *arg)
{
	free(malloc(7013));
	return arg;
}

static void *churn(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pthread_t thread;
		free(realloc(malloc(64), 128));
		void *p = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED && munmap(p, 65536) == 0);
		CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	return arg;
}

static void ask_my_own(void)
{
	char path[300];
	snprintf(path, sizeof(path), "%s.%d", parents_socket, (int)getpid());
	CHECK(setenv("CGOHEAP_SOCKET", path, 1) == 0);
	CHECK(hooks_status("pid") == getpid());
}

/* Inherited blocks are known and can be freed; new blocks are new. */
static void child(void *inherited)
{
	pthread_t thread;

	alarm(60);
	ask_my_own();
	EXPECT(7919, 1, 1);
	void *p = malloc(7907);
	EXPECT(7907, 1, 1);
	CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(hooks_status("threads") == 1);
	free(p);
	EXPECT(7907, 1, 0);
	free(inherited);
	EXPECT(7919, 1, 0);
	_exit(0);
}

int main(void)
{
	pthread_t threads[3];
	void *p = malloc(7919);
	int status;

	strncpy(parents_socket, getenv("CGOHEAP_SOCKET"), sizeof(parents_socket) - 1);
	/* A grandchild while nothing else runs, so every figure is known. */
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		ask_my_own();
		EXPECT(7919, 1, 1);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			child(p);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		EXPECT(7907, 0, 0);
		EXPECT(7919, 1, 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);

	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
	for (int n = 0; n < 60; n++) {
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			child(p);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(status == 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(hooks_status("pid") == getpid());
	EXPECT(7919, 1, 1);
	EXPECT(7907, 0, 0);
	EXPECT(64, hooks_figures_of(128).allocs, 0);
	free(p);
	EXPECT(7919, 1, 0);
	return 0;
}
