#include "base/libc.h"

#include "base/base.h"
#include "base/dynsym.h"

/* Wrappers, because pointers to the host's symbols cannot be bound before the loader is done. */
static int linked_setspecific(pthread_key_t key, const void *value)
{
	return pthread_setspecific(key, value);
}

static int linked_getstack(const pthread_attr_t *a, void **start, size_t *bytes)
{
	return pthread_attr_getstack(a, start, bytes);
}

static int linked_getstacksize(const pthread_attr_t *a, size_t *bytes)
{
	return pthread_attr_getstacksize(a, bytes);
}

static int linked_iterate_phdr(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	return dl_iterate_phdr(call, arg);
}

struct libc libc __attribute__((visibility("hidden"))) = {
	.pthread_setspecific = linked_setspecific,
	.pthread_attr_getstack = linked_getstack,
	.pthread_attr_getstacksize = linked_getstacksize,
	.dl_iterate_phdr = linked_iterate_phdr,
};

/* Safe if several threads run it at once: all store the same value. */
#define RESOLVE(member)                                                                            \
	do {                                                                                       \
		void *found = dynsym_libc(#member);                                                \
		if (found)                                                                         \
			STORE(&libc.member, (__typeof__(libc.member))found);                       \
	} while (0)

void libc_resolve(void)
{
	RESOLVE(pthread_setspecific);
	RESOLVE(pthread_attr_getstack);
	RESOLVE(pthread_attr_getstacksize);
	RESOLVE(dl_iterate_phdr);
}
