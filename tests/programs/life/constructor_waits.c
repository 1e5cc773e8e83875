/*
 * A library's constructor waits, inside dlopen, for a thread that allocates through code not
 * seen before. If the shim asked the loader about that code and took the loader's lock, it would
 * wait for dlopen, and dlopen for it. The constructor also gets its answer from the shim.
 */
#include <dlfcn.h>

#include "life.h"

/* Called by the library's constructor; nothing was requested before. */
void waits_ask(void)
{
	CHECK(hooks_status_says("\"allocator\":\"glibc\""));
	CHECK(hooks_get("/v1/account") && hooks_get("/debug/pprof/memory") &&
	      hooks_get("/metrics"));
	CHECK(hooks_get("/debug/pprof/cgoheap"));
}

int main(void)
{
	void *library = dlopen(getenv("LIFE_LIBRARY"), RTLD_NOW);
	CHECK(library);
	void **block = dlsym(library, "waits_block");
	CHECK(block && *block);
	EXPECT(7919, 1, 1);
	free(*block);
	EXPECT(7919, 1, 0);
	/* Destructors run under the same lock. */
	CHECK(dlclose(library) == 0);
	EXPECT(7927, 1, 0);
	return 0;
}
