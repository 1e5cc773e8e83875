/* An allocator that cannot return its free memory at once: mi_collect waits until it may finish. */
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void __libc_free(void *p);

void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void *realloc(void *p, size_t bytes);
void free(void *p);
void mi_collect(bool force);

int held_begun, held_may_end;

void *malloc(size_t bytes)
{
	return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	return __libc_calloc(count, bytes);
}

void *realloc(void *p, size_t bytes)
{
	return __libc_realloc(p, bytes);
}

void free(void *p)
{
	__libc_free(p);
}

void mi_collect(bool force)
{
	(void)force;
	__atomic_add_fetch(&held_begun, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&held_may_end, __ATOMIC_SEQ_CST))
		usleep(1000);
}
