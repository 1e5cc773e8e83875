/*
 * A request that the real allocator refuses fails as the real function does, and is not
 * recorded.
 */
#include "hooks.h"

#define TOO_MUCH OPAQUE(SIZE_MAX / 2 + 1)

#define REFUSED(call, error)                                                                       \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK((call) == NULL && errno == (error));                                         \
	} while (0)

int main(void)
{
	long long before = hooks_status("taken");
	void *p = &p;

	REFUSED(malloc(TOO_MUCH), ENOMEM);
	REFUSED(calloc(1, TOO_MUCH), ENOMEM);
	REFUSED(calloc(OPAQUE(SIZE_MAX / 2), 3), ENOMEM); /* the product overflows */
	REFUSED(calloc(OPAQUE((size_t)1 << 32), (size_t)1 << 32), ENOMEM);
	REFUSED(realloc(NULL, TOO_MUCH), ENOMEM);
	REFUSED(reallocarray(NULL, OPAQUE(SIZE_MAX / 2), 3), ENOMEM);
	REFUSED(aligned_alloc(64, TOO_MUCH), ENOMEM);
	REFUSED(memalign(64, TOO_MUCH), ENOMEM);
	REFUSED(valloc(TOO_MUCH), ENOMEM);
	REFUSED(hooks_pvalloc(TOO_MUCH), ENOMEM);
	errno = 77;
	CHECK(posix_memalign(&p, 64, TOO_MUCH) == ENOMEM && p == &p);
	CHECK(posix_memalign(&p, OPAQUE((size_t)48), 8) == EINVAL && p == &p);
	CHECK(hooks_status("taken") == before);
	return 0;
}
