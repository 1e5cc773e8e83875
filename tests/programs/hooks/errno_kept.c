/* A hook leaves errno as the real function does: unchanged on success. */
#include "hooks.h"

int main(void)
{
	void *p[64];

	for (int i = 0; i < 64; i++) {
		errno = 100 + i;
		p[i] = malloc(100 + (size_t)i);
		CHECK(errno == 100 + i);
		p[i] = realloc(p[i], 300 + (size_t)i);
		CHECK(errno == 100 + i);
	}
	for (int i = 0; i < 64; i++) {
		errno = 200 + i;
		free(p[i]);
		CHECK(errno == 200 + i);
	}
	return 0;
}
