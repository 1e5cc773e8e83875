#include <stdlib.h>
#include <string.h>

static void *__attribute__((noinline)) debt_malloc(size_t bytes)
{
	return memset(malloc(bytes), 1, bytes);
}

static void __attribute__((noinline)) debt_free(void *p)
{
	free(p);
}
