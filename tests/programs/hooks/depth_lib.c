/*
 * The functions that the shim interposes, each with almost no stack use, so that depth.c
 * measures the shim.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <threads.h>

#include "base/arch.h"

static char room[64 << 20] __attribute__((aligned(4096)));
static size_t used;

static void *take(size_t alignment, size_t size)
{
	size_t at = (used + 4096 + alignment - 1) & ~(alignment - 1);

	used = at + size;
	if (used > sizeof(room))
		return NULL;
	*(size_t *)(void *)(room + at - 16) = size;
	return room + at;
}

void *malloc(size_t size)
{
	return take(16, size);
}

void *calloc(size_t count, size_t size)
{
	return take(16, count * size); /* zeroed: nothing is used twice */
}

void *realloc(void *p, size_t size)
{
	const char *old = p;
	char *fresh = take(16, size);

	for (size_t i = 0; old && i < size && i < *(const size_t *)(const void *)(old - 16); i++)
		*(volatile char *)(fresh + i) = old[i];
	return fresh;
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

void *valloc(size_t size)
{
	return take(4096, size);
}

void *pvalloc(size_t size)
{
	return take(4096, size);
}

void free(void *p)
{
	(void)p;
}

void *mmap(void *p, size_t n, int prot, int flags, int fd, long offset)
{
	return (void *)arch_syscall6(SYS_mmap, (long)p, (long)n, prot, flags, fd, offset);
}

void *mmap64(void *p, size_t n, int prot, int flags, int fd, long offset)
{
	return (void *)arch_syscall6(SYS_mmap, (long)p, (long)n, prot, flags, fd, offset);
}

int munmap(void *p, size_t n)
{
	return (int)arch_syscall6(SYS_munmap, (long)p, (long)n, 0, 0, 0, 0);
}

int mprotect(void *p, size_t n, int prot)
{
	return (int)arch_syscall6(SYS_mprotect, (long)p, (long)n, prot, 0, 0, 0);
}

void *mremap(void *p, size_t old, size_t new, int flags, void *to)
{
	return (void *)arch_syscall6(SYS_mremap, (long)p, (long)old, (long)new, flags, (long)to, 0);
}

int madvise(void *p, size_t n, int advice)
{
	return (int)arch_syscall6(SYS_madvise, (long)p, (long)n, advice, 0, 0, 0);
}

void *sbrk(intptr_t increment)
{
	long end = arch_syscall6(SYS_brk, 0, 0, 0, 0, 0, 0);

	if (increment)
		arch_syscall6(SYS_brk, end + increment, 0, 0, 0, 0, 0);
	return (void *)end;
}

int brk(void *to)
{
	return arch_syscall6(SYS_brk, (long)to, 0, 0, 0, 0, 0) == (long)to ? 0 : -1;
}

/* Until then libc's functions are behind the shim, while it starts its threads. */
int depth_is_measured;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
		   void *arg)
{
	int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (depth_is_measured)
		return EAGAIN;
	next = (__typeof__(next))dlsym(RTLD_NEXT, "pthread_create");
	return next(thread, attributes, start, arg);
}

int thrd_create(thrd_t *thread, int (*start)(void *), void *arg)
{
	(void)thread, (void)start, (void)arg;
	return thrd_error;
}

int dlclose(void *handle)
{
	(void)handle;
	return 0;
}

void *dlopen(const char *file, int mode)
{
	(void)file, (void)mode;
	return NULL;
}

/* Until then, libc's own. */
void *dlsym(void *restrict handle, const char *restrict name)
{
	void *(*next)(void *, const char *);

	if (depth_is_measured)
		return NULL;
	next = (__typeof__(next))dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
	return next(handle, name);
}
