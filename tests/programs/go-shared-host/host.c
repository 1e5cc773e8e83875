/*
 * A C program that loads libraries containing Go, one after another; with -DLINKED it is linked
 * to one.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *callback(size_t);

static __attribute__((noinline)) void *called_back(size_t n)
{
	return memset(malloc(n), 1, n);
}

static long long use(void (*keep)(int), void (*call)(callback *, int), long long (*heap)(int))
{
	keep(100);
	call(called_back, 50);
	return heap(40);
}

#ifdef LINKED
void GoKeep(int);
void GoCallback(callback *, int);
long long GoHeap(int);

static long long load(const char *path)
{
	(void)path;
	return use(GoKeep, GoCallback, GoHeap);
}
#else
static long long load(const char *path)
{
	void *h = dlopen(path, RTLD_NOW);
	if (!h) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return use((void (*)(int))dlsym(h, "GoKeep"),
		   (void (*)(callback *, int))dlsym(h, "GoCallback"),
		   (long long (*)(int))dlsym(h, "GoHeap"));
}
#endif

int main(int argc, char **argv)
{
	long long heap = 0;

	free(memalign(64, 100)); /* this thread has called a hook before there is any Go */
	for (int i = 1; i < argc; i++)
		heap += load(argv[i]);
	printf("heap %lld\nready\n", heap);
	fflush(stdout);
	getchar();
	return 0;
}
