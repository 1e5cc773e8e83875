/*
 * The exported functions (interpose.map), each a check and a jump.
 *
 * Budget: an unsampled pair of malloc and free costs at most 15 instructions more than the real
 * pair while sampling is on. Today it is 13: a jump each to the function in force; malloc 4
 * (load the TLS offset, subtract, branch, jump); free 7 (three for the hash, the filter's
 * address, compare, branch, jump). It is 2, the jumps, while sampling is off. No call, no lock,
 * no store outside the thread's own counter. tests/programs/instructions.sh counts.
 *
 * Everything else is in malloc_slow.c, map_slow.c and threads.c.
 */
#include "hook/interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/forked.h"
#include "base/loaded.h"
#include "base/state.h"
#include "base/sys.h"
#include "region/recstack.h"
#include "go/bridge.h"
#include "unwind/codetables.h"
#include "record/live.h"
#include "record/sample.h"
#include "record/unloads.h"
#include "hook/earlymaps.h"
#include "hook/free_slow.h"
#include "hook/malloc_slow.h"
#include "hook/map_slow.h"
#include "hook/real.h"
#include "hook/threads.h"

#define EXPORT __attribute__((visibility("default")))

/* Declared in no header yet, or no longer, or in <threads.h>, whose name one of our headers has, or
 * in <stdlib.h>, in which glibc before 2.33 has functions in floating point. */
int posix_memalign(void **out, size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t alignment, size_t size);
void cfree(void *p);
int thrd_create(pthread_t *thread, int (*start)(void *), void *arg);

/* ---- malloc, calloc, realloc, free -------------------------------------- */

static void *look_malloc(size_t size)
{
	if (unlikely(!sample_skip(size)))
		return slow_malloc(size);
	return real.malloc(size);
}

static void look_free(void *p)
{
	if (unlikely(live_maybe(p))) {
		slow_free(p);
		return;
	}
	real.free(p);
}

static void *look_calloc(size_t count, size_t size)
{
	size_t bytes;
	if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
		return real.calloc(count, size); /* fails, as the real one does */
	if (unlikely(!sample_skip(bytes)))
		return slow_calloc(count, size);
	return real.calloc(count, size);
}

static void *look_realloc(void *p, size_t size)
{
	if (unlikely(live_maybe(p) || !sample_skip(size)))
		return slow_realloc(p, size);
	return real.realloc(p, size);
}

/* The functions in force. Each is changed by one store, so a thread sees the old or the new one. */
static struct {
	void *(*malloc)(size_t);
	void (*free)(void *);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
} now = {look_malloc, look_free, look_calloc, look_realloc};

bool interpose_follow(bool on, bool settled)
{
	/* A block of the bootstrap arena must never reach the real free. */
	bool frees = on || !settled || live_count() != 0 || real_bootstrap_is_used();

	STORE(&now.free, frees ? look_free : real.free);
	STORE(&now.realloc, frees ? look_realloc : real.realloc);
	STORE(&now.malloc, on ? look_malloc : real.malloc);
	STORE(&now.calloc, on ? look_calloc : real.calloc);
	return on || !frees || real_bootstrap_is_used();
}

EXPORT void *malloc(size_t size)
{
	return LOAD(&now.malloc)(size);
}

EXPORT void free(void *p)
{
	LOAD (&now.free)(p);
}

EXPORT void *calloc(size_t count, size_t size)
{
	return LOAD(&now.calloc)(count, size);
}

EXPORT void *realloc(void *p, size_t size)
{
	return LOAD(&now.realloc)(p, size);
}

/* ---- the rest of the family --------------------------------------------- */

/* The allocator decides under which name a block may be freed. */
EXPORT void free_sized(void *p, size_t size)
{
	if (unlikely(live_maybe(p)) && !slow_forget(p))
		return;
	real.free_sized(p, size);
}

EXPORT void free_aligned_sized(void *p, size_t alignment, size_t size)
{
	if (unlikely(live_maybe(p)) && !slow_forget(p))
		return;
	real.free_aligned_sized(p, alignment, size);
}

/* For programs linked before glibc 2.26 removed the name. */
EXPORT void cfree(void *p)
{
	free(p);
}

/* Not every allocator behind us has it, and glibc's calls its own realloc, which no hook sees. */
EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
	size_t bytes;
	if (unlikely(__builtin_mul_overflow(count, size, &bytes))) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
	if (unlikely(!sample_skip(size)))
		return slow_posix_memalign(out, alignment, size);
	return real.posix_memalign(out, alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	if (unlikely(!sample_skip(size)))
		return slow_aligned_alloc(alignment, size);
	return real.aligned_alloc(alignment, size);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
	if (unlikely(!sample_skip(size)))
		return slow_memalign(alignment, size);
	return real.memalign(alignment, size);
}

EXPORT void *valloc(size_t size)
{
	if (unlikely(!sample_skip(size)))
		return slow_valloc(size);
	return real.valloc(size);
}

EXPORT void *pvalloc(size_t size)
{
	if (unlikely(!sample_skip(size)))
		return slow_pvalloc(size);
	return real.pvalloc(size);
}

/* The functions for mappings need the caller. */
#define CALLER ((uint64_t)__builtin_return_address(0))

static inline bool active(void)
{
	forked_look();
	return shim_state_now() == SHIM_ACTIVE;
}

EXPORT void *mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset)
{
	if (active())
		return slow_mmap(p, n, prot, flags, fd, offset, CALLER);
	return earlymaps_mmap(p, n, prot, flags, fd, offset, CALLER);
}

EXPORT void *mmap64(void *p, size_t n, int prot, int flags, int fd, off64_t offset)
{
	if (active())
		return slow_mmap(p, n, prot, flags, fd, offset, CALLER);
	return earlymaps_mmap(p, n, prot, flags, fd, offset, CALLER);
}

EXPORT int munmap(void *p, size_t n)
{
	if (active())
		return slow_munmap(p, n);
	return real.munmap(p, n);
}

EXPORT int mprotect(void *p, size_t n, int prot)
{
	if (active())
		return slow_mprotect(p, n, prot, CALLER);
	return real.mprotect(p, n, prot);
}

/*
 * The fifth argument is present with these flags only; the second of them takes it as a hint.
 * Not variadic here, because that would need 200 bytes of stack to read one register.
 */
EXPORT void *mremap_of_five(void *p, size_t old, size_t new, int flags, void *to) __asm__("mremap");
EXPORT void *mremap_of_five(void *p, size_t old, size_t new, int flags, void *to)
{
	if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		to = NULL;
	if (active())
		return slow_mremap(p, old, new, flags, to, CALLER);
	return real.mremap(p, old, new, flags, to);
}

EXPORT int madvise(void *p, size_t n, int advice)
{
	return real.madvise(p, n, advice);
}

EXPORT void *sbrk(intptr_t increment)
{
	return active() && increment ? slow_sbrk(increment, CALLER) : real.sbrk(increment);
}

EXPORT int brk(void *to)
{
	return active() ? slow_brk(to, CALLER) : real.brk(to);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *arg)
{
	interpose_thread_created(CALLER);
	if (active())
		return threads_create(thread, attributes, start, arg, CALLER);
	return real.pthread_create(thread, attributes, start, arg);
}

EXPORT int thrd_create(pthread_t *thread, int (*start)(void *), void *arg)
{
	interpose_thread_created(CALLER);
	if (active())
		return threads_create_c11(thread, start, arg, CALLER);
	return real.thrd_create(thread, start, arg);
}

/*
 * The loader looks at the caller's address, and so do other preloads, so these two end in a jump
 * (hooks/loader_caller). They do nothing else but where glibc does not find modules without a lock
 * (loaded.h): there what dlopen brings is noted at the first dlsym after it, which waits for the
 * loader itself.
 */
static __attribute__((noinline)) void note_dlopen(int mode)
{
	loaded_will_change();
	/* Its own calls of dlclose go to libc. */
	if (mode & RTLD_DEEPBIND)
		loaded_will_change_unseen();
}

/* A signal handler may come in the middle of the shim's own work. */
static __attribute__((noinline)) void note_dlsym(void)
{
	forked_look();
	if (!LOAD(&sample_self.busy))
		interpose_loaded();
}

ENDS_IN_JUMP EXPORT void *dlopen(const char *file, int mode)
{
	if (unlikely(loaded_is_watched()))
		note_dlopen(mode);
	JUMP_TO real.dlopen(file, mode);
}

ENDS_IN_JUMP EXPORT void *dlsym(void *handle, const char *name)
{
	if (unlikely(loaded_is_old()))
		note_dlsym();
	JUMP_TO real.dlsym(handle, name);
}

static void forget_here(void *unused, const struct regs *host)
{
	int error = errno;

	(void)unused, (void)host;
	loaded_forget();
	errno = error;
}

/* Data about code addresses must not outlive the code. */
EXPORT int dlclose(void *handle)
{
	bool is_active = active();

	codetables_unload_begins();
	int result = is_active ? unloads_watch(real.dlclose, handle) : real.dlclose(handle);
	if (loaded_is_watched())
		recstack_run_anyhow(forget_here, NULL);
	codetables_unload_ends();
	return result;
}

/* ---- the Go package ------------------------------------------------------ */

EXPORT int cgoheap_bridge_v1(uint32_t protocol, const char *version, enum cgoheap_bridge_want want,
			     struct cgoheap_bridge_about *about)
{
	return bridge_want(protocol, version, want, about);
}
