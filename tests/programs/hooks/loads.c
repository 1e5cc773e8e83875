/*
 * Threads load, look up, use and close a library that is loaded already, so that the loader's list
 * stays as it is, while this thread forks. A child, which has whatever lock another thread held,
 * does the same, and ends by itself.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>

#include "hooks.h"

#define LIBRARY "libloader_caller.so"
#define THREADS 3
#define FORKS   200
#define LIMIT   60 /* seconds, if a child does not end */

static volatile int ended;

static void use_library(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);
	CHECK(library);
	void *(*take)(size_t) = (__typeof__(take))dlsym(library, "take_in_library");
	CHECK(take);
	free(take(100));
	CHECK(dlclose(library) == 0);
}

static void *use_it_again(void *unused)
{
	while (!ended)
		use_library();
	return unused;
}

int main(void)
{
	pthread_t threads[THREADS];
	int status;

	CHECK(dlopen(LIBRARY, RTLD_NOW));
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, use_it_again, NULL) == 0);
	for (int i = 0; i < FORKS; i++) {
		pid_t child = fork();
		if (child == 0) {
			alarm(LIMIT);
			use_library();
			use_library();
			_exit(0);
		}
		CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	}
	ended = 1;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	return 0;
}
