/*
 * dlopen and dlsym depend on who calls: a name without a path is looked for in the caller's own
 * RUNPATH, and RTLD_NEXT means what comes after the caller. The library loaded that way allocates,
 * and its frame is in the stack, and no longer after dlclose.
 */
#include <dlfcn.h>

#include "hooks.h"

int main(void)
{
	CHECK(dlsym(RTLD_NEXT, "main") == NULL);
	CHECK(dlsym(RTLD_NEXT, "malloc") == dlsym(RTLD_DEFAULT, "malloc"));
	for (int round = 0; round < 3; round++) {
		void *library = dlopen("libloader_caller.so", RTLD_NOW);
		CHECK(library);
		void *(*take)(size_t) = (__typeof__(take))dlsym(library, "take_in_library");
		CHECK(take);
		void *p = take(7919);
		char *profile = hooks_get("/debug/pprof/cgoheap?debug=1");
		CHECK(strstr(profile, "take_in_library") && strstr(profile, "main"));
		free(p);
		CHECK(dlclose(library) == 0);
	}
	return 0;
}
