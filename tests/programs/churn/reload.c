/*
 * PLUGIN: loads it, has it work at depths that change, and unloads it, so often
 * that the stacks fill the table several times.  What leaks afterwards is seen as
 * it would have been in the first minute, and no total is lost.
 */
#include <dlfcn.h>
#include <time.h>

#include "../mappings/mappings.h"

#define CYCLES 4000
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

	CHECK(argc > 1);
	for (int n = 0; n < CYCLES; n++) {
		cycle(argv[1], n);
		nanosleep(&pause, NULL); /* the library's thread has a processor, too */
	}
	pause.tv_nsec = 200000000;
	nanosleep(&pause, NULL);
	for (int i = 0; i < LEAKED; i++)
		CHECK(leak_after_all());
	IN_USE("malloc", "leak_after_all", LEAKED, LEAKED * 7000);
	CHECK(hooks_status("reclaimed") > CYCLES);
	CHECK(hooks_status("sample_bytes") == 1);
	/* At [reclaimed stacks] sizes are no label any more. */
	struct mappings_figures all = mappings_of("malloc", NULL),
				kept = mappings_of("malloc", "cycle");
	struct mappings_figures gone = mappings_of("malloc", "[reclaimed stacks]");
	CHECK(all.allocs + hooks_status("stacks_full") + hooks_status("no_stack") >=
	      CYCLES * DEPTHS + LEAKED);
	CHECK(hooks_status("stacks_full") == 0);
	CHECK(gone.bytes == 0 && gone.objects == 0 && gone.allocs > CYCLES);
	CHECK(gone.alloc_bytes + kept.alloc_bytes >= 5000LL * CYCLES * DEPTHS / 2);
	return 0;
}
