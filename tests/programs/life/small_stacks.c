/*
 * Every interposed function, each on a stack of 16 KiB: the slow paths must fit together with
 * what the C library needs there.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include "life.h"

#define SMALL 16384

static pthread_attr_t small;

static void *nothing(void *arg)
{
	return arg;
}

static void *every_function(void *arg)
{
	void *p = malloc(7001), *q;
	pthread_t thread;

	p = realloc(p, 7003);
	p = reallocarray(p, 1, 7013);
	free(p);
	free(calloc(1, 7001));
	CHECK(posix_memalign(&q, 64, 7001) == 0);
	free(q);
	free(aligned_alloc(64, 7001));
	free(memalign(64, 7001));
	free(valloc(7001));
	p = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && mprotect(p, 65536, PROT_READ | PROT_WRITE) == 0);
	p = mremap(p, 65536, 131072, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED && madvise(p, 4096, MADV_DONTNEED) == 0 && munmap(p, 131072) == 0);
	CHECK(pthread_create(&thread, &small, nothing, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	return arg;
}

int main(void)
{
	pthread_t thread;
	void *stack = mmap(NULL, 3 * SMALL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* There is no guard below that an overflow might jump over: the stack is all there is. */
	CHECK(stack != MAP_FAILED);
	CHECK(mprotect((char *)stack + SMALL, SMALL, PROT_READ | PROT_WRITE) == 0);
	CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, SMALL) == 0);
	pthread_attr_t own;
	CHECK(pthread_attr_init(&own) == 0);
	CHECK(pthread_attr_setstack(&own, (char *)stack + SMALL, SMALL) == 0);
	for (int i = 0; i < 50; i++) {
		CHECK(pthread_create(&thread, i % 2 ? &own : &small, every_function, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	EXPECT(7001, 50 * 6, 0);
	EXPECT(7013, 50, 0);
	return 0;
}
