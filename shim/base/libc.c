#include "base/libc.h"

#include <errno.h>
#include <sys/auxv.h>

#include "base/dynsym.h"
#ifdef CGOHEAP_FAULTS
#include "base/faultinject.h"
#endif

/* The first call looks for the function again: its library may have been loaded since. */
#define FIRST(name, parameters, arguments)                                                         \
	static int first_##name parameters                                                         \
	{                                                                                          \
		void *found = dynsym_libc(#name);                                                  \
		if (!found)                                                                        \
			return ENOSYS;                                                             \
		STORE(&libc.name, (__typeof__(libc.name))found);                                   \
		return libc.name arguments;                                                        \
	}
LIBC_THREADS(FIRST)

/* A wrapper, because pointers to the host's symbols cannot be bound before the loader is done. */
static int linked_iterate_phdr(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	return dl_iterate_phdr(call, arg);
}

struct libc libc __attribute__((visibility("hidden"))) = {
#define INITIAL(name, parameters, arguments) .name = first_##name,
	LIBC_THREADS(INITIAL).dl_iterate_phdr = linked_iterate_phdr,
};

/* Safe if several threads run it at once: all store the same value. */
#define RESOLVE(member)                                                                            \
	do {                                                                                       \
		void *found = dynsym_libc(#member);                                                \
		if (found)                                                                         \
			STORE(&libc.member, (__typeof__(libc.member))found);                       \
	} while (0)
#define RESOLVE_THREADS(name, parameters, arguments) RESOLVE(name);

void libc_resolve(void)
{
	LIBC_THREADS(RESOLVE_THREADS)
	RESOLVE(dl_iterate_phdr);
#ifdef CGOHEAP_FAULTS
	faultinject_libc(&libc);
#endif
}

const void *libc_address(void)
{
	return (const void *)getauxval;
}

bool libc_is_glibc(void)
{
	return dynsym_libc("gnu_get_libc_version") != NULL;
}

/* What has been found is not looked up again: other threads may be changing the loader's list. */
bool libc_has_threads(void)
{
	bool all = true;

#define IS_THERE(name, parameters, arguments)                                                      \
	all &= libc.name != first_##name || dynsym_libc(#name) != NULL;
	LIBC_THREADS(IS_THERE)
	return all;
}

/* glibc compares the module with those that it unloads; this library stays. */
int libc_atfork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
	return libc.__register_atfork(before, parent, child, NULL);
}
