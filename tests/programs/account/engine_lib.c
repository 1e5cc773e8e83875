/*
 * A library built like Chromium's: it provides malloc without statistics, and its engine maps
 * its own heap.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void *realloc(void *p, size_t bytes);
void free(void *p);
int posix_memalign(void **p, size_t alignment, size_t bytes);
void *aligned_alloc(size_t alignment, size_t bytes);
void engine_eval(size_t bytes);

static void *map(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Never frees; stores the size in front of each block. */
static void *bump(size_t alignment, size_t bytes)
{
	static uint64_t at, end;
	uint64_t p = (__atomic_load_n(&at, __ATOMIC_RELAXED) + 16 + alignment - 1) & -alignment;
	if (!at || p + bytes > end) {
		size_t size = (bytes + alignment + (1 << 20)) & ~(size_t)4095;
		at = (uint64_t)map(size);
		end = at + size;
		p = (at + 16 + alignment - 1) & -alignment;
	}
	((size_t *)p)[-1] = bytes;
	at = p + bytes;
	return (void *)p;
}

void *malloc(size_t bytes)
{
	return bump(16, bytes);
}

void *calloc(size_t count, size_t bytes)
{
	return memset(bump(16, count * bytes), 0, count * bytes);
}

void *realloc(void *p, size_t bytes)
{
	void *fresh = bump(16, bytes);
	if (p)
		memcpy(fresh, p, ((size_t *)p)[-1] < bytes ? ((size_t *)p)[-1] : bytes);
	return fresh;
}

void free(void *p)
{
	(void)p;
}

int posix_memalign(void **p, size_t alignment, size_t bytes)
{
	*p = bump(alignment, bytes);
	return 0;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	return bump(alignment < 16 ? 16 : alignment, bytes);
}

void engine_eval(size_t bytes)
{
	memset(map(bytes), 1, bytes);
}
