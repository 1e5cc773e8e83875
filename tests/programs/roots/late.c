/*
 * Linked to libc alone; the library with thread functions is loaded later, as a plugin brings it.
 * Threads then run, and the library loaded before them is closed.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* Declared weak, so that this program does not ask for libpthread and libdl. */
#pragma weak dlopen
#pragma weak dlsym
#pragma weak dlclose

static void *add(void *n)
{
	return (char *)n + 1;
}

int main(int argc, char **argv)
{
	void *library = argc > 1 && dlopen ? dlopen(argv[1], RTLD_NOW) : NULL;
	int (*run)(void *(*)(void *), void *, void **) = NULL;
	void *result = NULL;

	if (library)
		run = (__typeof__(run))dlsym(library, "run_thread");
	if (!run || run(add, (void *)41, &result) || result != (void *)42)
		return 1;
	printf("%ld, closed %d\n", (long)result, dlclose(library));
	return 0;
}
