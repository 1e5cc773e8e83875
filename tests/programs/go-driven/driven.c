#include "driven.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void *dr_malloc(size_t n)
{
	return malloc(n);
}

void dr_free(void *p)
{
	free(p);
}

static void child(int count)
{
	static void *blocks[256];

	for (int i = 0; i < count; i++) {
		void **slot = &blocks[i % 256];
		*slot = realloc(*slot, (size_t)(i % 5000) + 1);
		if (*slot)
			memset(*slot, 1, (size_t)(i % 5000) + 1);
		if (i % 3 == 0) {
			free(*slot);
			*slot = NULL;
		}
	}
	_exit(7);
}

int dr_fork(int count)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		child(count);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void *sleeper(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

int dr_sleepers(int threads)
{
	pthread_t id;

	for (int i = 0; i < threads; i++) {
		if (pthread_create(&id, NULL, sleeper, NULL))
			return -1;
	}
	return 0;
}

unsigned long dr_plugin(const char *path, size_t n, void **block)
{
	void *library = dlopen(path, RTLD_NOW);
	void *(*alloc)(size_t) = library ? (void *(*)(size_t))dlsym(library, "plugin_alloc") : NULL;

	if (!alloc)
		return 0;
	*block = alloc(n);
	return dlclose(library) ? 0 : (unsigned long)alloc;
}

int dr_errno_kept(int count)
{
	int kept = 1;

	for (int i = 0; i < count; i++) {
		errno = 1000 + i;
		void *p = malloc(100);
		p = realloc(p, 200);
		free(p);
		kept &= errno == 1000 + i;
	}
	return kept;
}
