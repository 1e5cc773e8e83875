/*
 * Children of fork, created while other threads allocate: in the child everything passes
 * through, including threads, and the parent continues unaffected.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "hooks.h"

static int stop;

static void *churn(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		void *p = realloc(malloc(64), 128);
		free(p);
	}
	return arg;
}

static void *in_child_thread(void *arg)
{
	for (int i = 0; i < 100; i++)
		free(realloc(malloc(100), 200));
	return arg;
}

static void child(void *inherited)
{
	pthread_t t;
	alarm(20);
	free(inherited);
	for (int i = 0; i < 1000; i++)
		free(calloc(10, (size_t)i));
	CHECK(pthread_create(&t, NULL, in_child_thread, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	_exit(0);
}

int main(void)
{
	pthread_t threads[2];
	void *p = malloc(7919);

	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
	for (int n = 0; n < 100; n++) {
		int status;
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			child(p);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(status == 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	EXPECT(7919, 1, 1); /* the child's free affected only the child */
	EXPECT(64, hooks_figures_of(128).allocs, 0);
	free(p);
	EXPECT(7919, 1, 0);
	return 0;
}
