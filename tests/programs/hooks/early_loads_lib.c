/* See early_loads.c. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

int early_was_right(void);
void early_reload(int times);

static int was_right;

/* RTLD_NEXT: nothing after this library has it; and its own RUNPATH is looked at. */
__attribute__((constructor)) static void early(void)
{
	void *library = dlopen("libloader_caller.so", RTLD_NOW);

	was_right = library && dlsym(RTLD_NEXT, "early_was_right") == NULL &&
		    dlsym(library, "take_in_library") && dlclose(library) == 0;
}

int early_was_right(void)
{
	return was_right;
}

void early_reload(int times)
{
	for (int i = 0; i < times; i++) {
		void *library = dlopen("libloader_caller.so", RTLD_NOW);
		void *(*take)(size_t) = NULL;
		if (library)
			take = (__typeof__(take))dlsym(library, "take_in_library");
		if (!take)
			abort();
		free(take(100));
		dlclose(library);
	}
}
