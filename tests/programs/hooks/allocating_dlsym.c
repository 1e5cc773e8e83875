/*
 * A dlsym that allocates, as glibc's did until 2.34: preloaded behind the shim
 * (allocating_dlsym_lib.c), it keeps the block. Such blocks come from the bootstrap arena;
 * freeing and growing them later must work.
 */
#include "hooks.h"

extern void *kept_by_dlsym[16] __attribute__((weak));
extern int kept_count __attribute__((weak));

int main(void)
{
	CHECK(kept_by_dlsym && kept_count == 16);
	for (int i = 0; i < 16; i++) {
		char *p = kept_by_dlsym[i];
		CHECK(p && (uintptr_t)p % 16 == 0);
		for (int k = 0; k < 100; k++)
			CHECK(p[k] == 'a' + i);
	}
	for (int i = 0; i < 8; i++)
		free(kept_by_dlsym[i]);
	for (int i = 8; i < 16; i++) {
		char *grown = realloc(kept_by_dlsym[i], i % 2 ? 100000 : 50);
		CHECK(grown && grown != kept_by_dlsym[i] && grown[0] == 'a' + i &&
		      grown[49] == 'a' + i);
		free(grown);
	}
	free(malloc(7919));
	EXPECT(7919, 1, 0);
	return 0;
}
