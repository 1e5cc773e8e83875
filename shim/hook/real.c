/*
 * Finds the real allocator.
 *
 * Each entry of the table begins as a resolver of the same type, which looks everything up once
 * and forwards. A signal handler may allocate on this thread meanwhile. Such a call finds that the
 * thread is resolving, and is served from a static arena. A function that the libc behind us lacks
 * gets a substitute, never a NULL pointer.
 *
 * Not by dlsym: it may be in a library that is not there (until glibc 2.34), it may allocate, it
 * leaves an error for the host's dlerror, and another preload may wrap it.
 *
 * Blocks of the arena are pinned in live's filter, so that free and realloc of them take the
 * slow path and recognise them. The arena never frees.
 */
#include "hook/real.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/dynsym.h"
#include "base/libc.h"
#include "base/sys.h"
#include "record/live.h"
#include "record/sample.h"

/* ---- the bootstrap arena ---------------------------------------------- */

/* In front of each block, so that realloc knows how much to copy. */
struct bootstrap_head {
	size_t size;
	size_t reserved;
};

char real_bootstrap[REAL_BOOTSTRAP_BYTES] __attribute__((aligned(PAGE_BYTES)));
static size_t bootstrap_used;

static __thread uint8_t resolving __attribute__((tls_model("initial-exec")));

bool real_bootstrap_is_used(void)
{
	return LOAD(&bootstrap_used) != 0;
}

/* alignment: a power of two. Zeroed, because no part of the arena is used twice. */
static void *bootstrap_alloc(size_t alignment, size_t size)
{
	size_t used = LOAD(&bootstrap_used), at;

	if (alignment < 16)
		alignment = 16;
	do {
		at = ALIGN_UP(used + sizeof(struct bootstrap_head), alignment);
		if (at < used || at > REAL_BOOTSTRAP_BYTES || size > REAL_BOOTSTRAP_BYTES - at) {
			errno = ENOMEM;
			return NULL;
		}
	} while (!__atomic_compare_exchange_n(&bootstrap_used, &used, at + size, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	char *p = real_bootstrap + at;
	((struct bootstrap_head *)p)[-1].size = size;
	live_filter_pin(p);
	return p;
}

void *real_bootstrap_realloc(void *p, size_t size)
{
	size_t had = ((struct bootstrap_head *)p)[-1].size;

	if (!size)
		return NULL; /* freed, as in glibc */
	void *fresh = real.malloc(size);
	if (fresh)
		memcpy(fresh, p, had < size ? had : size);
	return fresh;
}

/* ---- substitutes ------------------------------------------------------ */

static void *bootstrap_malloc(size_t size)
{
	return bootstrap_alloc(16, size);
}

static void bootstrap_free(void *p)
{
	(void)p;
}

static void *bootstrap_calloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return bootstrap_alloc(16, bytes);
}

static void *bootstrap_realloc(void *p, size_t size)
{
	void *fresh = bootstrap_alloc(16, size);
	if (fresh && real_is_bootstrap(p)) {
		size_t had = ((struct bootstrap_head *)p)[-1].size;
		memcpy(fresh, p, had < size ? had : size);
	}
	return fresh;
}

static bool power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

static int bootstrap_posix_memalign(void **out, size_t alignment, size_t size)
{
	int before = errno;
	void *p = power_of_two(alignment) ? bootstrap_alloc(alignment, size) : NULL;

	errno = before; /* posix_memalign reports errors only by its result */
	if (!p)
		return power_of_two(alignment) ? ENOMEM : EINVAL;
	*out = p;
	return 0;
}

static void *memalign_by_posix(size_t alignment, size_t size)
{
	void *p = NULL;
	int error = real.posix_memalign(&p, alignment < sizeof(void *) ? sizeof(void *) : alignment,
					size);
	if (error)
		errno = error;
	return error ? NULL : p;
}

static void *valloc_by_posix(size_t size)
{
	return memalign_by_posix(PAGE_BYTES, size);
}

static void *pvalloc_by_posix(size_t size)
{
	if (size > SIZE_MAX - PAGE_BYTES) {
		errno = ENOMEM;
		return NULL;
	}
	return memalign_by_posix(PAGE_BYTES, ALIGN_UP(size ? size : 1, PAGE_BYTES));
}

/* C23 functions, in glibc since 2.43: with the right sizes they behave like free. */
static void free_sized_by_free(void *p, size_t size)
{
	(void)size;
	real.free(p);
}

static void free_aligned_sized_by_free(void *p, size_t alignment, size_t size)
{
	(void)alignment, (void)size;
	real.free(p);
}

static long answer(long result)
{
	if (!sys_failed(result))
		return result;
	errno = (int)-result;
	return -1;
}

static void *raw_mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset)
{
	return (void *)answer(sys_call(mmap, p, n, prot, flags, fd, offset));
}

static int raw_munmap(void *p, size_t n)
{
	return (int)answer(sys_call(munmap, p, n));
}

static int raw_mprotect(void *p, size_t n, int prot)
{
	return (int)answer(sys_call(mprotect, p, n, prot));
}

static void *raw_mremap(void *p, size_t old, size_t new, int flags, ...)
{
	va_list more;
	void *to = NULL;

	va_start(more, flags);
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		to = va_arg(more, void *);
	va_end(more);
	return (void *)answer(sys_call(mremap, p, old, new, flags, to));
}

static int raw_madvise(void *p, size_t n, int advice)
{
	return (int)answer(sys_call(madvise, p, n, advice));
}

/* Only libc knows where the break is. */
static void *no_sbrk(intptr_t increment)
{
	(void)increment;
	errno = ENOMEM;
	return (void *)-1;
}

static int no_brk(void *to)
{
	(void)to;
	errno = ENOMEM;
	return -1;
}

/* From <threads.h>, whose name one of our headers has. */
#define THRD_ERROR 2

/*
 * Until glibc 2.34 these are in libraries beside libc, which may be loaded later than we are. Only
 * such a library's first user comes here; until then the process has one thread.
 */
#define LATE(result, name, parameters, arguments, failure)                                         \
	ENDS_IN_JUMP static result late_##name parameters                                          \
	{                                                                                          \
		void *found = dynsym_next(#name);                                                  \
		if (!found)                                                                        \
			return failure;                                                            \
		STORE(&real.name, (__typeof__(real.name))found);                                   \
		JUMP_TO real.name arguments;                                                       \
	}

LATE(int, pthread_create, (pthread_t * t, const pthread_attr_t *a, void *(*f)(void *), void *arg),
     (t, a, f, arg), EAGAIN)
LATE(int, thrd_create, (pthread_t * t, int (*f)(void *), void *arg), (t, f, arg), THRD_ERROR)
LATE(int, dlclose, (void *handle), (handle), -1)
LATE(void *, dlopen, (const char *file, int mode), (file, mode), NULL)
LATE(void *, dlsym, (void *handle, const char *name), (handle, name), NULL)

/* ---- resolvers -------------------------------------------------------- */

/* The first call of a function looks up all functions and continues; calls meanwhile use its
 * substitute. */
#define FIRST(result, name, parameters, arguments, substitute)                                     \
	ENDS_IN_JUMP static result first_##name parameters                                         \
	{                                                                                          \
		if (resolving)                                                                     \
			JUMP_TO substitute arguments;                                              \
		real_resolve();                                                                    \
		JUMP_TO real.name arguments;                                                       \
	}

FIRST(void *, malloc, (size_t size), (size), bootstrap_malloc)
FIRST(void *, calloc, (size_t count, size_t size), (count, size), bootstrap_calloc)
FIRST(void *, realloc, (void *p, size_t size), (p, size), bootstrap_realloc)
FIRST(int, posix_memalign, (void **out, size_t alignment, size_t size), (out, alignment, size),
      bootstrap_posix_memalign)
FIRST(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size), memalign_by_posix)
FIRST(void *, memalign, (size_t alignment, size_t size), (alignment, size), memalign_by_posix)
FIRST(void *, valloc, (size_t size), (size), valloc_by_posix)
FIRST(void *, pvalloc, (size_t size), (size), pvalloc_by_posix)
FIRST(void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t offset),
      (p, n, prot, flags, fd, offset), raw_mmap)
FIRST(int, munmap, (void *p, size_t n), (p, n), raw_munmap)
FIRST(int, mprotect, (void *p, size_t n, int prot), (p, n, prot), raw_mprotect)
FIRST(int, madvise, (void *p, size_t n, int advice), (p, n, advice), raw_madvise)
FIRST(void *, sbrk, (intptr_t increment), (increment), no_sbrk)
FIRST(int, brk, (void *to), (to), no_brk)
FIRST(int, pthread_create, (pthread_t * t, const pthread_attr_t *a, void *(*f)(void *), void *arg),
      (t, a, f, arg), late_pthread_create)
FIRST(int, thrd_create, (pthread_t * t, int (*f)(void *), void *arg), (t, f, arg), late_thrd_create)
FIRST(int, dlclose, (void *handle), (handle), late_dlclose)
FIRST(void *, dlopen, (const char *file, int mode), (file, mode), late_dlopen)
FIRST(void *, dlsym, (void *handle, const char *name), (handle, name), late_dlsym)

static void *first_mremap(void *p, size_t old, size_t new, int flags, ...)
{
	va_list more;
	void *to = NULL;

	va_start(more, flags);
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		to = va_arg(more, void *);
	va_end(more);
	if (resolving)
		return raw_mremap(p, old, new, flags, to);
	real_resolve();
	return real.mremap(p, old, new, flags, to);
}

/* While resolving, a block from any earlier allocator: only leaking it is safe. */
#define FIRST_FREE(name, parameters, arguments)                                                    \
	static void first_##name parameters                                                        \
	{                                                                                          \
		if (resolving || real_is_bootstrap(p))                                             \
			return;                                                                    \
		real_resolve();                                                                    \
		real.name arguments;                                                               \
	}

FIRST_FREE(free, (void *p), (p))
FIRST_FREE(free_sized, (void *p, size_t size), (p, size))
FIRST_FREE(free_aligned_sized, (void *p, size_t alignment, size_t size), (p, alignment, size))

/* ---- the table -------------------------------------------------------- */

struct real real __attribute__((visibility("hidden"))) = {
	.malloc = first_malloc,
	.free = first_free,
	.free_sized = first_free_sized,
	.free_aligned_sized = first_free_aligned_sized,
	.calloc = first_calloc,
	.realloc = first_realloc,
	.posix_memalign = first_posix_memalign,
	.aligned_alloc = first_aligned_alloc,
	.memalign = first_memalign,
	.valloc = first_valloc,
	.pvalloc = first_pvalloc,
	.mmap = first_mmap,
	.munmap = first_munmap,
	.mprotect = first_mprotect,
	.mremap = first_mremap,
	.madvise = first_madvise,
	.sbrk = first_sbrk,
	.brk = first_brk,
	.pthread_create = first_pthread_create,
	.thrd_create = first_thrd_create,
	.dlclose = first_dlclose,
	.dlopen = first_dlopen,
	.dlsym = first_dlsym,
};

struct real real_named __attribute__((visibility("hidden")));

/* Each thread does its own lookup: another thread may do the same, and stores the same value. */
#define RESOLVE(member, substitute)                                                                \
	do {                                                                                       \
		void *found = dynsym_next(#member);                                                \
		STORE(&real.member, found ? (__typeof__(real.member))found : substitute);          \
	} while (0)

void real_resolve(void)
{
	int before = errno;

	if (resolving)
		return;
	resolving = 1;
	/* free is the last of these five: until then, freeing a block of the arena does nothing. */
	RESOLVE(posix_memalign, bootstrap_posix_memalign);
	RESOLVE(calloc, bootstrap_calloc);
	RESOLVE(realloc, bootstrap_realloc);
	RESOLVE(malloc, bootstrap_malloc);
	RESOLVE(free, bootstrap_free);
	RESOLVE(free_sized, free_sized_by_free);
	RESOLVE(free_aligned_sized, free_aligned_sized_by_free);
	RESOLVE(aligned_alloc, memalign_by_posix);
	RESOLVE(memalign, memalign_by_posix);
	RESOLVE(valloc, valloc_by_posix);
	RESOLVE(pvalloc, pvalloc_by_posix);
	RESOLVE(mmap, raw_mmap);
	RESOLVE(munmap, raw_munmap);
	RESOLVE(mprotect, raw_mprotect);
	RESOLVE(mremap, raw_mremap);
	RESOLVE(madvise, raw_madvise);
	RESOLVE(sbrk, no_sbrk);
	RESOLVE(brk, no_brk);
	RESOLVE(pthread_create, late_pthread_create);
	RESOLVE(thrd_create, late_thrd_create);
	RESOLVE(dlclose, late_dlclose);
	RESOLVE(dlopen, late_dlopen);
	RESOLVE(dlsym, late_dlsym);
	real_named = real;
	libc_resolve();
	resolving = 0;
	errno = before;
}
