/*
 * An allocator like jemalloc: its first malloc maps memory under a lock, and a malloc from
 * inside that call would wait for it. Freed memory is not reused.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES ((size_t)1 << 30)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *memory;
static size_t used;

static void *take(size_t alignment, size_t size)
{
	char *p = NULL;

	pthread_mutex_lock(&lock);
	if (!memory)
		memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	used = (used + 16 + alignment - 1) / alignment * alignment;
	if (memory != MAP_FAILED && size < BYTES && used < BYTES - size) {
		p = memory + used;
		((size_t *)p)[-1] = size;
		used += size;
	}
	pthread_mutex_unlock(&lock);
	return p;
}

void *malloc(size_t size)
{
	return take(16, size);
}

void *calloc(size_t count, size_t size)
{
	return take(16, count * size);
}

void *realloc(void *p, size_t size)
{
	void *fresh = take(16, size);
	size_t had = p ? ((size_t *)p)[-1] : 0;

	return fresh && p ? memcpy(fresh, p, had < size ? had : size) : fresh;
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	*out = take(alignment, size);
	return 0;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return take(alignment, size);
}

void *memalign(size_t alignment, size_t size)
{
	return take(alignment, size);
}

void free(void *p)
{
	(void)p;
}
