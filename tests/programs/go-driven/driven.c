#include "driven.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long count;

/* Not a tail call, so that the frame is visible. */
void *dr_malloc(size_t n)
{
	void *p = malloc(n);

	count++;
	return p;
}

static __attribute__((noinline)) void *maze_left(unsigned path, int bits, size_t n)
{
	void *p = dr_maze(path, bits, n);

	count++;
	return p;
}

static __attribute__((noinline)) void *maze_right(unsigned path, int bits, size_t n)
{
	void *p = dr_maze(path, bits, n);

	count += 2;
	return p;
}

void *dr_maze(unsigned path, int bits, size_t n)
{
	if (!bits)
		return dr_malloc(n);
	return path & 1 ? maze_right(path >> 1, bits - 1, n) : maze_left(path >> 1, bits - 1, n);
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

static void *short_thread(void *arg)
{
	void *volatile p = malloc(*(size_t *)arg);

	free(malloc(10));
	return p;
}

int dr_short_threads(int threads, int together, size_t n)
{
	pthread_t ids[64];

	if (together > 64)
		return -1;
	for (int done = 0; done < threads; done += together) {
		for (int i = 0; i < together; i++) {
			if (pthread_create(&ids[i], NULL, short_thread, &n))
				return -1;
		}
		for (int i = 0; i < together; i++)
			pthread_join(ids[i], NULL);
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
