/*
 * libc functions that the library calls past any replacement that a preload provides, and those
 * that some C libraries keep in a library beside libc: glibc did so with its thread functions until
 * 2.34.  They are looked up, so that the loader asks for libc alone.
 *
 * Each begins as a function that looks itself up when it is called, and fails with ENOSYS as long
 * as no loaded library has it.
 */
#ifndef CGOHEAP_LIBC_H
#define CGOHEAP_LIBC_H

#include <link.h>
#include <pthread.h>
#include <signal.h>

#include "base/base.h"

/* X(name, parameters, arguments); each returns 0 or an error number. */
#define LIBC_THREADS(X)                                                                            \
	X(pthread_key_create, (pthread_key_t * key, void (*end)(void *)), (key, end))              \
	X(pthread_key_delete, (pthread_key_t key), (key))                                          \
	X(pthread_setspecific, (pthread_key_t key, const void *value), (key, value))               \
	X(pthread_sigmask, (int how, const sigset_t *set, sigset_t *before), (how, set, before))   \
	X(pthread_attr_init, (pthread_attr_t * a), (a))                                            \
	X(pthread_attr_destroy, (pthread_attr_t * a), (a))                                         \
	X(pthread_attr_setdetachstate, (pthread_attr_t * a, int state), (a, state))                \
	X(pthread_attr_setstack, (pthread_attr_t * a, void *stack, size_t bytes),                  \
	  (a, stack, bytes))                                                                       \
	X(pthread_attr_getstack, (const pthread_attr_t *a, void **stack, size_t *bytes),           \
	  (a, stack, bytes))                                                                       \
	X(pthread_attr_getstacksize, (const pthread_attr_t *a, size_t *bytes), (a, bytes))

/* Each libc has one of them. */
#define LIBC_ATFORK(X)                                                                             \
	X(__register_atfork,                                                                       \
	  (void (*before)(void), void (*parent)(void), void (*child)(void), void *module),         \
	  (before, parent, child, module))                                                         \
	X(pthread_atfork, (void (*before)(void), void (*parent)(void), void (*child)(void)),       \
	  (before, parent, child))

enum libc_kind { LIBC_OTHER, LIBC_GLIBC, LIBC_MUSL };

struct libc {
	enum libc_kind kind;
#define MEMBER(name, parameters, arguments) int(*name) parameters;
	LIBC_THREADS(MEMBER)
	LIBC_ATFORK(MEMBER)
#undef MEMBER
	int (*dl_iterate_phdr)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
};
extern struct libc libc __attribute__((visibility("hidden")));

/* Any thread, any number of times; does not allocate. */
void libc_resolve(void);

/* The libc of this process; LIBC_OTHER until libc_resolve.  Any thread, async-signal-safe. */
static inline enum libc_kind libc_kind(void)
{
	return LOAD(&libc.kind);
}
/* Whether this is the definition of that name in libc itself.  As dynsym_libc. */
bool libc_is_definition(const char *name, const void *address);
/* Whether all the thread functions are loaded.  Any thread. */
bool libc_has_threads(void);

/* An address in libc itself. */
const void *libc_address(void);

/*
 * dl_iterate_phdr, which takes the loader's lock. No libc resets that lock in a child of fork, so
 * fork waits until none of our calls is under way, and begun ones wait for fork: each a tenth of a
 * second at most.
 */
int libc_iterate_phdr(int (*call)(struct dl_phdr_info *, size_t, void *), void *arg);
void libc_before_fork(void);
void libc_after_fork(void);
void libc_after_fork_in_child(void);

/* As pthread_atfork, for handlers that are never removed. */
int libc_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));

#endif
