/*
 * PLUGIN [CYCLES]: loads it, calls it at varying depths, and unloads it, often enough that the
 * stacks fill the table several times. A leak afterwards must be seen as in the first minute.
 */
#include <dlfcn.h>
#include <time.h>

#include "../mappings/mappings.h"

#define DEPTHS 10
#define LEAKED 300

NOINLINE static void *deep(int depth, void *(*work)(size_t))
{
	void *p = depth ? deep(depth - 1, work) : work(5000);

	__asm__ volatile("" ::"r"(p));
	return p;
}

NOINLINE static void cycle(const char *path, int n)
{
	void *library = dlopen(path, RTLD_NOW);
	void *(*work)(size_t) = dlsym(library, "plugin_work");

	CHECK(library && work);
	for (int i = 0; i < DEPTHS; i++)
		free(deep(n % 7 + 2 * i, work));
	dlclose(library);
}

NOINLINE void *leak_after_all(void)
{
	void *p = malloc(7000);

	memset(p, 1, 7000);
	return p;
}

int main(int argc, char **argv)
{
	struct timespec pause = {.tv_nsec = 100000};
	struct mappings_figures seen;
	int cycles = argc > 2 ? atoi(argv[2]) : 4000;

	CHECK(argc > 1);
	for (int n = 0; n < cycles; n++) {
		cycle(argv[1], n);
		nanosleep(&pause, NULL); /* lets the library's thread run */
	}
	pause.tv_nsec = 200000000;
	nanosleep(&pause, NULL);
	for (int i = 0; i < LEAKED; i++)
		CHECK(leak_after_all());
	nanosleep(&pause, NULL);
	nanosleep(&pause, NULL);
	/* Only what is in use: thousands of stacks without memory in use make more text than
	 * there is room for. */
	seen = mappings_at("/debug/pprof/cgoheap?debug=1&older=100ms", "malloc", "leak_after_all");
	CHECK(seen.objects == LEAKED && seen.bytes == LEAKED * 7000);
	CHECK(hooks_status("reclaimed") > cycles);
	CHECK(hooks_status("no_stack") == 0);
	CHECK(hooks_status("sample_bytes") == 1);
	return 0;
}
