/*
 * The string.h functions that hooks and the compiler need, hidden in this library.
 * libc's are resolved through the host's symbols, and a preload that counts or checks
 * copies may lock or allocate in them, in the middle of a hook.  Sanitizer builds use
 * the sanitizer's versions.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arch.h"
#include "base/base.h"

#if !IS_SANITIZED

__attribute__((visibility("hidden"))) void *memcpy(void *to, const void *from, size_t n)
{
	arch_copy_up(to, from, n);
	return to;
}

__attribute__((visibility("hidden"))) void *memmove(void *to, const void *from, size_t n)
{
	if ((uintptr_t)to - (uintptr_t)from >= n)
		return memcpy(to, from, n);
	arch_copy_down(to, from, n);
	return to;
}

__attribute__((visibility("hidden"))) void *memset(void *to, int byte, size_t n)
{
	arch_fill(to, (uint8_t)byte * UINT64_C(0x0101010101010101), n);
	return to;
}

__attribute__((visibility("hidden"))) int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n >= 8; n -= 8, x += 8, y += 8)
		if (*(const uint64_t *)x != *(const uint64_t *)y)
			break;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

__attribute__((visibility("hidden"))) size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

__attribute__((visibility("hidden"))) int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (uint8_t)*a - (uint8_t)*b;
}

__attribute__((visibility("hidden"))) int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (!*a || *a != *b)
			return (uint8_t)*a - (uint8_t)*b;
	return 0;
}

/* In parentheses: headers of glibc 2.43 have a macro of that name. */
__attribute__((visibility("hidden"))) void *(memchr)(const void *s, int byte, size_t n)
{
	for (const uint8_t *p = s; n; n--, p++)
		if (*p == (uint8_t)byte)
			return (void *)p;
	return NULL;
}

__attribute__((visibility("hidden"))) void *memmem(const void *in, size_t n, const void *what,
						   size_t bytes)
{
	const char *p = in;

	for (; n >= bytes; n--, p++)
		if (!bytes || (*p == *(const char *)what && memcmp(p, what, bytes) == 0))
			return (void *)p;
	return NULL;
}

#endif
