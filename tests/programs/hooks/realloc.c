/* realloc in all its uses. */
#include "hooks.h"

static void *volatile p;

static void grows_and_shrinks(void)
{
	p = malloc(7919);
	p = realloc(p, 79190);
	EXPECT(7919, 1, 0);
	EXPECT(79190, 1, 1);
	p = realloc(p, 7907);
	EXPECT(79190, 1, 0);
	EXPECT(7907, 1, 1);
	p = realloc(p, 7907);
	EXPECT(7907, 2, 1);
	free(p);
	EXPECT(7907, 2, 0);
}

static void of_null_allocates(void)
{
	p = realloc(NULL, 7901);
	EXPECT(7901, 1, 1);
	free(p);
	EXPECT(7901, 1, 0);
}

/* glibc frees and returns NULL; other allocators return a block of size 0. Either way the old
 * block is gone. */
static void to_zero_frees(void)
{
	p = malloc(7883);
	p = realloc(p, OPAQUE((size_t)0));
	EXPECT(7883, 1, 0);
	free(p);
}

static void that_fails_keeps_the_block(void)
{
	p = malloc(7879);
	memset(p, 0x5a, 7879);
	/* errno is not checked: jemalloc and mimalloc leave it alone. */
	CHECK(realloc(p, OPAQUE(SIZE_MAX / 2 + 1)) == NULL);
	EXPECT(7879, 1, 1);
	CHECK(((unsigned char *)p)[7878] == 0x5a);
	errno = 0;
	CHECK(reallocarray(p, OPAQUE(SIZE_MAX / 2), 3) == NULL && errno == ENOMEM);
	EXPECT(7879, 1, 1);
	p = reallocarray(p, 2, 3943);
	EXPECT(7879, 1, 0);
	EXPECT(7886, 1, 1);
	free(p);
	EXPECT(7886, 1, 0);
}

int main(void)
{
	grows_and_shrinks();
	of_null_allocates();
	to_zero_frees();
	that_fails_keeps_the_block();
	CHECK(hooks_status("stale") == 0);
	return 0;
}
