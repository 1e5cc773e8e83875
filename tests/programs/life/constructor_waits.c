/*
 * A library's constructor waits, inside dlopen, for a thread which allocates
 * through code that was never seen before.  Whoever asked the loader about that
 * code under the loader's lock would wait for dlopen, and dlopen for him.
 */
#include <dlfcn.h>

#include "life.h"

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
