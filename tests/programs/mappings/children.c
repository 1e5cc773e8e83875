/*
 * Children of fork and vfork while other threads map: a child maps and creates threads as
 * without the shim, and does not affect the parent's figures.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "mappings.h"

static int stop;

static NOINLINE void churn_once(void)
{
	char *p = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
	CHECK(p != MAP_FAILED && mprotect(p, PAGE, PROT_NONE) == 0);
	CHECK(munmap(p + PAGE, PAGE) == 0 && munmap(p, 8 * PAGE) == 0);
}

static void *churn(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		churn_once();
	return arg;
}

static void *once(void *arg)
{
	churn_once();
	return arg;
}

static void child(void)
{
	pthread_t t;
	alarm(20);
	for (int i = 0; i < 10; i++)
		churn_once();
	CHECK(mmap(NULL, 99 * PAGE, RW, ANON, -1, 0) != MAP_FAILED);
	CHECK(pthread_create(&t, NULL, once, NULL) == 0 && pthread_join(t, NULL) == 0);
	_exit(0);
}

static NOINLINE void map_in_parent(void)
{
	CHECK(mmap(NULL, 5 * PAGE, RW, ANON, -1, 0) != MAP_FAILED);
}

int main(void)
{
	pthread_t threads[2];
	int status;

	map_in_parent();
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
	for (int n = 0; n < 100; n++) {
		pid_t pid = n % 2 ? vfork() : fork();
		CHECK(pid >= 0);
		if (pid == 0 && n % 2)
			_exit(0);
		if (pid == 0)
			child();
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	IN_USE("mmap", "map_in_parent", 1, 5 * PAGE);
	IN_USE("mmap", NULL, 1, 5 * PAGE);
	IN_USE("thread_stack", NULL, 0, 0);
	return 0;
}
