/*
 * A library provides malloc but no statistics: what it maps must not count as anyone's free
 * memory.
 */
#include "account.h"

#include <dlfcn.h>

int main(void)
{
	void (*eval)(size_t) = (void (*)(size_t))dlsym(RTLD_DEFAULT, "engine_eval");
	CHECK(eval);
	take_account();
	struct seen before = take_account();
	for (int i = 0; i < 50; i++) {
		eval(MIB);
		CHECK(memset(malloc(MIB / 2), 1, MIB / 2));
	}
	struct seen after = take_account();
	CHECK(after.owner[C_LIVE] == -1 && after.owner[C_RETAINED] == -1);
	/* The engine's mappings, and malloc's too. */
	CHECK(after.owner[C_MMAP] - before.owner[C_MMAP] >= 75 * MIB);
	CHECK(after.owner[C_MMAP] - before.owner[C_MMAP] <= 78 * MIB);
	const char *top = strstr(hooks_get("/v1/account"), "\"c_mmap_top\":[");
	CHECK(top && number_after(top, "bytes") == 50 * MIB && strstr(top, "\"engine_eval\""));
	return 0;
}
