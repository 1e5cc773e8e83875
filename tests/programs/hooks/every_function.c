/* Each allocating function is recorded with the requested size, and free removes the record. */
#include "hooks.h"

/* The shim's, if this libc has none; a program can test whether it is there. */
#pragma weak free_sized
#pragma weak free_aligned_sized
#pragma weak cfree
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t alignment, size_t size);
void cfree(void *p);

int main(void)
{
	void *p[9];

	p[0] = malloc(7919);
	p[1] = calloc(7, 1117);
	p[2] = realloc(NULL, 7823);
	p[3] = reallocarray(NULL, 3, 2609);
	CHECK(posix_memalign(&p[4], 64, 7841) == 0 && (uintptr_t)p[4] % 64 == 0);
	p[5] = aligned_alloc(64, 7872);
	p[6] = memalign(64, 7853);
	p[7] = valloc(7867);
	p[8] = hooks_pvalloc(7873);
	static const size_t sizes[] = {7919, 7819, 7823, 7827, 7841, 7872, 7853, 7867, 7873};
	for (int i = 0; i < 9; i++) {
		CHECK(p[i]);
		memset(p[i], 0xa5, sizes[i]);
		EXPECT(sizes[i], 1, 1);
	}
	for (int i = 0; i < 9; i++)
		free(p[i]);
	for (int i = 0; i < 9; i++)
		EXPECT(sizes[i], 1, 0);
	/* Again, at the same addresses. */
	for (int i = 0; i < 9; i++)
		p[i] = malloc(OPAQUE((size_t)7919));
	EXPECT(7919, 10, 9);
	for (int i = 0; i < 9; i++)
		free(p[i]);
	free(NULL);
	EXPECT(7919, 10, 0);
	/* By the other names, which this libc may lack. */
	p[0] = malloc(7907);
	p[1] = aligned_alloc(64, 7907);
	p[2] = malloc(7907);
	free_sized(p[0], 7907);
	free_aligned_sized(p[1], 64, 7907);
	EXPECT(7907, 3, 1);
	cfree(p[2]);
	free_sized(NULL, 0);
	free_aligned_sized(NULL, 64, 0);
	EXPECT(7907, 3, 0);
	return 0;
}
