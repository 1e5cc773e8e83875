/*
 * Mappings that are cut, covered, moved, shrunk, grown and shared: after each call every
 * function's figures are its usable bytes, exactly.
 */
#include "mappings.h"

static NOINLINE char *by_a(void *at, size_t n, int prot)
{
	char *p = mmap(at, n, prot, ANON | (at ? MAP_FIXED : 0), -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static NOINLINE char *by_b(void *at, size_t n, int prot)
{
	char *p = mmap64(at, n, prot, ANON | (at ? MAP_FIXED : 0), -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static NOINLINE char *by_remap(void *p, size_t old, size_t new, int flags, void *to)
{
	char *q = mremap(p, old, new, flags, to);
	CHECK(q != MAP_FAILED);
	return q;
}

static NOINLINE void by_protect(void *p, size_t n, int prot)
{
	CHECK(mprotect(p, n, prot) == 0);
}

static void check(size_t a_objects, size_t a_pages, size_t b_objects, size_t b_pages)
{
	IN_USE("mmap", "by_a", a_objects, a_pages * PAGE);
	IN_USE("mmap", "by_b", b_objects, b_pages * PAGE);
	IN_USE("mmap", NULL,
	       a_objects + b_objects + mappings_of("mmap", "by_remap").objects +
		       mappings_of("mmap", "by_protect").objects,
	       (a_pages + b_pages) * PAGE + mappings_of("mmap", "by_remap").bytes +
		       mappings_of("mmap", "by_protect").bytes);
}

int main(void)
{
	char *p = by_a(NULL, 100 * PAGE - 100, RW), *q, *r;

	check(1, 100, 0, 0);
	CHECK(munmap(p + 10 * PAGE, 10 * PAGE) == 0);
	check(1, 90, 0, 0);
	by_b(p + 50 * PAGE, 10 * PAGE, RW);
	check(1, 80, 1, 10);
	CHECK(munmap(p + 10 * PAGE, 10 * PAGE) == 0); /* nothing there */
	CHECK(munmap(p + 55 * PAGE, 10 * PAGE) == 0); /* of two mappings */
	check(1, 75, 1, 5);
	CHECK(munmap(p, 50 * PAGE) == 0);
	check(1, 35, 1, 5);
	CHECK(munmap(p, 100 * PAGE) == 0);
	check(0, 0, 0, 0);

	p = by_a(NULL, 64 * PAGE, PROT_NONE);
	check(0, 0, 0, 0);
	by_protect(p + 8 * PAGE, 8 * PAGE, RW);
	IN_USE("mmap", "by_protect", 1, 8 * PAGE);
	by_protect(p, 32 * PAGE, PROT_READ);
	IN_USE("mmap", "by_protect", 2, 32 * PAGE);
	by_b(p + 4 * PAGE, 8 * PAGE, RW);
	IN_USE("mmap", "by_protect", 2, 24 * PAGE);
	check(0, 0, 1, 8);
	by_protect(p + 4 * PAGE, 60 * PAGE, PROT_NONE);
	IN_USE("mmap", "by_protect", 1, 4 * PAGE);
	check(0, 0, 0, 0);
	CHECK(munmap(p, 64 * PAGE) == 0);
	IN_USE("mmap", NULL, 0, 0);

	p = by_a(NULL, 10 * PAGE, RW);
	q = by_remap(p, 10 * PAGE, 30 * PAGE, MREMAP_MAYMOVE, NULL);
	check(0, 0, 0, 0);
	IN_USE("mmap", "by_remap", 1, 30 * PAGE);
	by_remap(q, 30 * PAGE, 20 * PAGE, 0, NULL);
	IN_USE("mmap", "by_remap", 1, 20 * PAGE);
	r = by_b(NULL, 40 * PAGE, RW);
	by_remap(q, 20 * PAGE, 20 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, r + 10 * PAGE);
	IN_USE("mmap", "by_remap", 1, 20 * PAGE);
	check(0, 0, 1, 20);
	CHECK(mremap(r, 10 * PAGE + 1, PAGE, 0x40) == MAP_FAILED); /* no such flag */
	CHECK(munmap(r, 40 * PAGE) == 0);
	IN_USE("mmap", NULL, 0, 0);
	IN_USE("thread_stack", NULL, 0, 0);
	return 0;
}
