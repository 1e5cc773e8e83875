/*
 * An allocator that a handler may interrupt anywhere and use: a bump pointer that never reuses
 * memory, one atomic addition per block. It only consumes address space: freed memory is
 * returned to the kernel a chunk at a time.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPACE ((size_t)64 << 30)
#define HEAD  16

void *malloc(size_t n);
void free(void *p);
void *calloc(size_t count, size_t size);
void *realloc(void *p, size_t n);
int posix_memalign(void **out, size_t alignment, size_t n);
void *aligned_alloc(size_t alignment, size_t n);
void *memalign(size_t alignment, size_t n);

static uintptr_t base, next;

/* Before any thread and any handler. */
static void begin(void)
{
	base = (uintptr_t)syscall(SYS_mmap, NULL, SPACE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	__atomic_store_n(&next, base, __ATOMIC_RELAXED);
}

static void *take(size_t alignment, size_t n)
{
	if (!base)
		begin();
	size_t room = (n + HEAD + alignment + 15) & ~(size_t)15;
	uintptr_t p = __atomic_fetch_add(&next, room, __ATOMIC_RELAXED);
	if (n > SPACE || p + room > base + SPACE) {
		errno = ENOMEM;
		return NULL;
	}
	p = (p + HEAD + alignment - 1) & ~(alignment - 1);
	((size_t *)p)[-1] = n;
	return (void *)p;
}

void *malloc(size_t n)
{
	return take(16, n);
}

void free(void *p)
{
	/* The pages entirely inside the block, which are never reused. */
	uintptr_t from = ((uintptr_t)p + 4095) & ~(uintptr_t)4095;
	if (p && from + 4096 <= (uintptr_t)p + ((size_t *)p)[-1])
		syscall(SYS_madvise, from, 4096, MADV_DONTNEED);
}

void *calloc(size_t count, size_t size)
{
	size_t n;
	return __builtin_mul_overflow(count, size, &n) ? NULL : take(16, n);
}

void *realloc(void *p, size_t n)
{
	void *fresh = take(16, n);
	if (fresh && p) {
		size_t old = ((size_t *)p)[-1];
		memcpy(fresh, p, old < n ? old : n);
		free(p);
	}
	return fresh;
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
	*out = take(alignment < 16 ? 16 : alignment, n);
	return *out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return take(alignment < 16 ? 16 : alignment, n);
}

void *memalign(size_t alignment, size_t n)
{
	return take(alignment < 16 ? 16 : alignment, n);
}
