/* The mmap family passes through, including variable arguments. */
#include <sys/mman.h>

#include "hooks.h"

#define PAGE 4096
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

int main(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
	char *q = mmap64(NULL, 16 * PAGE, PROT_NONE, ANON, -1, 0);
	char *r;

	CHECK(p != MAP_FAILED && q != MAP_FAILED);
	memset(p, 7, 4 * PAGE);
	r = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	CHECK(r != MAP_FAILED && r[0] == 7 && r[4 * PAGE] == 0);
	CHECK(mremap(r, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q && q[0] == 7);
	CHECK(madvise(q, 8 * PAGE, MADV_DONTNEED) == 0 && q[0] == 0);
	CHECK(munmap(q, 16 * PAGE) == 0);
	errno = 0;
	CHECK(mmap(NULL, 0, PROT_READ, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	errno = 0;
	CHECK(munmap((void *)1, PAGE) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(mremap((void *)1, PAGE, PAGE, 0) == MAP_FAILED && errno == EINVAL);
	errno = 0;
	CHECK(madvise((void *)1, PAGE, MADV_NORMAL) == -1 && errno == EINVAL);
	return 0;
}
