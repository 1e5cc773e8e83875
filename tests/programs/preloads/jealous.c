/*
 * A preload that interposes functions as libfaketime, tracers and checkers do: each takes a lock
 * that is not recursive, allocates under it, and passes the call on. A caller of one of them
 * inside malloc would wait for itself.
 *
 * -DWRAP_DLSYM: only dlsym, passed on from here, so that RTLD_NEXT means what comes after this
 * library.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef WRAP_DLSYM

void *dlsym(void *handle, const char *name)
{
	static void *(*real)(void *, const char *);
	if (!real)
		real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
	if (!real)
		real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
	return real(handle, name);
}

#else

static char lock;
static __thread int inside;

/* Not while the program starts, and not for its own calls in here. */
static int enter(void)
{
	if (inside)
		return 0;
	inside = 1;
	while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
		;
	for (volatile int i = 0; i < 3; i++)
		free(malloc(100));
	return 1;
}

static void leave(int entered)
{
	if (!entered)
		return;
	__atomic_clear(&lock, __ATOMIC_RELEASE);
	inside = 0;
}

#define PASS(type, name, parameters, arguments)                                                    \
	type name parameters                                                                       \
	{                                                                                          \
		static type(*real) parameters;                                                     \
		int entered = enter();                                                             \
		if (!real)                                                                         \
			real = (__typeof__(real))dlsym(RTLD_NEXT, #name);                          \
		type result = real arguments;                                                      \
		leave(entered);                                                                    \
		return result;                                                                     \
	}

PASS(int, clock_gettime, (clockid_t clock, struct timespec *t), (clock, t))
PASS(int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
PASS(int, pthread_setspecific, (pthread_key_t key, const void *value), (key, value))
PASS(int, sigaltstack, (const stack_t *now, stack_t *before), (now, before))
PASS(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
PASS(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
PASS(void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at),
     (p, n, prot, flags, fd, at))
PASS(char *, getenv, (const char *name), (name))

void *memcpy(void *to, const void *from, size_t n)
{
	int entered = enter();
	for (size_t i = 0; i < n; i++)
		((volatile char *)to)[i] = ((const char *)from)[i];
	leave(entered);
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	int entered = enter();
	for (size_t i = 0; i < n; i++)
		((volatile char *)to)[i] = (char)byte;
	leave(entered);
	return to;
}

double log(double x);
double log(double x)
{
	abort();
	return x;
}

#endif
