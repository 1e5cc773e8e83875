#include "base/libc.h"

#include <errno.h>
#include <sys/auxv.h>

#include "base/dynsym.h"
#include "base/sys.h"
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
LIBC_ATFORK(FIRST)

/* A wrapper, because pointers to the host's symbols cannot be bound before the loader is done. */
static int linked_iterate_phdr(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	return dl_iterate_phdr(call, arg);
}

struct libc libc __attribute__((visibility("hidden"))) = {
#define INITIAL(name, parameters, arguments) .name = first_##name,
	LIBC_THREADS(INITIAL) LIBC_ATFORK(INITIAL).dl_iterate_phdr = linked_iterate_phdr,
};

/* Safe if several threads run it at once: all store the same value. */
#define RESOLVE(member)                                                                            \
	do {                                                                                       \
		void *found = dynsym_libc(#member);                                                \
		if (found)                                                                         \
			STORE(&libc.member, (__typeof__(libc.member))found);                       \
	} while (0)
#define RESOLVE_THREADS(name, parameters, arguments) RESOLVE(name);

/* musl exports what its loader calls by name (ldso/dynlink.c, stage 3). */
static enum libc_kind find_kind(void)
{
	if (dynsym_libc("gnu_get_libc_version"))
		return LIBC_GLIBC;
	return dynsym_libc("__dls3") ? LIBC_MUSL : LIBC_OTHER;
}

void libc_resolve(void)
{
	STORE(&libc.kind, find_kind());
	LIBC_THREADS(RESOLVE_THREADS)
	LIBC_ATFORK(RESOLVE_THREADS)
	RESOLVE(dl_iterate_phdr);
#ifdef CGOHEAP_FAULTS
	faultinject_libc(&libc);
#endif
}

const void *libc_address(void)
{
	return (const void *)getauxval;
}

bool libc_is_definition(const char *name, const void *address)
{
	return address && dynsym_libc(name) == address;
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

/* ---- the loader's lock, and fork ------------------------------------------- */

static uint32_t askers, forkers;

#define WAIT_NS   1000000
#define MAX_WAITS 100

static void wait_a_moment(void)
{
	static const struct timespec moment = {.tv_nsec = WAIT_NS};

	sys_call(nanosleep, &moment, 0);
}

/* Each side announces itself before it checks for the other. Neither waits for ever: another
 * library's fork handler may wait for a thread that waits here. */
static void begin_asking(void)
{
	for (int i = 0;; i++) {
		__atomic_fetch_add(&askers, 1, __ATOMIC_SEQ_CST);
		if (likely(!__atomic_load_n(&forkers, __ATOMIC_SEQ_CST)) || i == MAX_WAITS)
			return;
		__atomic_fetch_sub(&askers, 1, __ATOMIC_RELEASE);
		wait_a_moment();
	}
}

int libc_iterate_phdr(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	begin_asking();
	int result = libc.dl_iterate_phdr(call, arg);
	__atomic_fetch_sub(&askers, 1, __ATOMIC_RELEASE);
	return result;
}

void libc_before_fork(void)
{
	__atomic_fetch_add(&forkers, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < MAX_WAITS && __atomic_load_n(&askers, __ATOMIC_SEQ_CST); i++)
		wait_a_moment();
}

void libc_after_fork(void)
{
	__atomic_fetch_sub(&forkers, 1, __ATOMIC_RELEASE);
}

void libc_after_fork_in_child(void)
{
	STORE(&askers, 0);
	STORE(&forkers, 0);
}

/* glibc compares the module with those that it unloads; this library stays.  musl unloads none. */
int libc_atfork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
	if (libc_kind() == LIBC_MUSL)
		return libc.pthread_atfork(before, parent, child);
	return libc.__register_atfork(before, parent, child, NULL);
}
