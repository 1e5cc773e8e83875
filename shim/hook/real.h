/*
 * The next definition of each function we interpose: glibc's, or that of the allocator preloaded
 * or linked behind us.
 *
 * The table is valid from the first instruction of the process: at first it points at resolvers
 * that look up the real function and forward to it. Blocks that a signal handler asks for meanwhile
 * come from a static bootstrap arena and are never passed to the real free.
 */
#ifndef CGOHEAP_REAL_H
#define CGOHEAP_REAL_H

#include <pthread.h>
#include <sys/types.h>

#include "base/base.h"

struct real {
	void *(*malloc)(size_t);
	void (*free)(void *);
	void (*free_sized)(void *, size_t);
	void (*free_aligned_sized)(void *, size_t, size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	void *(*memalign)(size_t, size_t);
	void *(*valloc)(size_t);
	void *(*pvalloc)(size_t);
	void *(*mmap)(void *, size_t, int, int, int, off_t);
	int (*munmap)(void *, size_t);
	int (*mprotect)(void *, size_t, int);
	void *(*mremap)(void *, size_t, size_t, int, ...);
	int (*madvise)(void *, size_t, int);
	void *(*sbrk)(intptr_t);
	int (*brk)(void *);
	int (*pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	int (*thrd_create)(pthread_t *, int (*)(void *), void *); /* thrd_t is pthread_t */
	int (*dlclose)(void *);
	void *(*dlopen)(const char *, int);
	void *(*dlsym)(void *, const char *);
};
/* reallocarray is implemented here (a checked multiplication, then realloc); mmap64 is mmap
 * on 64-bit. */

extern struct real real __attribute__((visibility("hidden")));
/* The functions found by real_resolve: a stack shows these, whatever stands in for them (as of
 * muslfamily.h). */
extern struct real real_named __attribute__((visibility("hidden")));

/* Looks up all functions now. Called by the constructor; safe to call again. */
void real_resolve(void);

/* dlsym needs a few hundred bytes in all; what does not fit fails with ENOMEM. */
#define REAL_BOOTSTRAP_BYTES (64 * KIB)
/* Whether p came from the bootstrap arena. */
static inline bool real_is_bootstrap(const void *p)
{
	extern char real_bootstrap[REAL_BOOTSTRAP_BYTES] __attribute__((visibility("hidden")));

	return (uintptr_t)p - (uintptr_t)real_bootstrap < REAL_BOOTSTRAP_BYTES;
}
/* Whether there are any such blocks. */
bool real_bootstrap_is_used(void);
/* realloc of a bootstrap block: a new real block with its bytes, or NULL with errno. */
void *real_bootstrap_realloc(void *p, size_t size);

#endif
