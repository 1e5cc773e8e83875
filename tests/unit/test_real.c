/*
 * The real table: resolvers, substitutes for what a libc lacks, and the arena for what a signal
 * handler allocates meanwhile. The linker puts this program's look-up in place of the shim's; it
 * allocates, fails or forgets names as a case requires.
 */
#include "child.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "record/live.h"
#include "hook/real.h"

static const char *lacking; /* not found: "name,name," or "*" */
static void (*while_resolving)(void);
static int lookups;

/* From <threads.h>, whose name one of the shim's headers has. */
int thrd_create(pthread_t *thread, int (*start)(void *), void *arg);

/* All look-ups but those of functions that this libc may lack (free_sized). */
static const struct {
	const char *name;
	void *function;
} libc[] = {
	{"malloc", malloc},
	{"free", free},
	{"calloc", calloc},
	{"realloc", realloc},
	{"posix_memalign", posix_memalign},
	{"aligned_alloc", aligned_alloc},
	{"memalign", memalign},
	{"valloc", valloc},
	{"pvalloc", pvalloc},
	{"mmap", mmap},
	{"munmap", munmap},
	{"mprotect", mprotect},
	{"mremap", mremap},
	{"madvise", madvise},
	{"sbrk", sbrk},
	{"brk", brk},
	{"pthread_create", pthread_create},
	{"thrd_create", thrd_create},
	{"dlclose", dlclose},
};

static bool lacks(const char *name)
{
	const char *at = lacking ? strstr(lacking, name) : NULL;
	return lacking && (*lacking == '*' || (at && at[strlen(name)] == ','));
}

void *__wrap_dynsym_next(const char *name);
void *__wrap_dynsym_next(const char *name)
{
	if (while_resolving)
		while_resolving();
	for (size_t i = 0; i < COUNT_OF(libc); i++)
		if (!strcmp(libc[i].name, name)) {
			lookups++;
			return lacks(name) ? NULL : libc[i].function;
		}
	return NULL;
}

/* ---- the first call of each -------------------------------------------------- */

static void resolved(void)
{
	CHECK(real.malloc == malloc && real.free == free && real.calloc == calloc);
	CHECK(real.realloc == realloc && real.posix_memalign == posix_memalign);
	CHECK(real.aligned_alloc == aligned_alloc && real.memalign == memalign);
	CHECK(real.valloc == valloc && real.pvalloc == pvalloc && real.mmap == mmap);
	CHECK(real.munmap == munmap && real.mremap == mremap && real.madvise == madvise);
	CHECK(real.mprotect == mprotect);
	CHECK(real.pthread_create == pthread_create);
}

/* A call before the constructor resolves everything, forwards, and keeps errno. */
#define FIRST(name, ...)                                                                           \
	static void first_##name(void)                                                             \
	{                                                                                          \
		errno = 99;                                                                        \
		__VA_ARGS__;                                                                       \
		CHECK(errno == 99);                                                                \
		resolved();                                                                        \
	}                                                                                          \
	CASE(first_##name)

static void *nothing(void *arg)
{
	return arg;
}

static void *block;
static pthread_t thread;
FIRST(malloc, block = real.malloc(10); CHECK(block))
FIRST(free, block = malloc(10); real.free(block))
FIRST(free_sized, block = malloc(10); real.free_sized(block, 10))
FIRST(free_aligned_sized, block = aligned_alloc(64, 64); real.free_aligned_sized(block, 64, 64))
FIRST(calloc, block = real.calloc(10, 10); CHECK(block))
FIRST(realloc, block = real.realloc(NULL, 10); CHECK(block))
FIRST(posix_memalign, CHECK(!real.posix_memalign(&block, 64, 10)))
FIRST(aligned_alloc, block = real.aligned_alloc(64, 64); CHECK(block))
FIRST(memalign, block = real.memalign(64, 10); CHECK(block))
FIRST(valloc, block = real.valloc(10); CHECK(block))
FIRST(pvalloc, block = real.pvalloc(10); CHECK(block))
FIRST(mmap, block = real.mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(block != MAP_FAILED))
FIRST(munmap, block = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(!real.munmap(block, 4096)))
FIRST(mprotect, block = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(!real.mprotect(block, 4096, PROT_NONE)))
FIRST(mremap, block = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(real.mremap(block, 8192, 4096, 0) == block))
FIRST(madvise, block = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(!real.madvise(block, 4096, MADV_DONTNEED)))
static int nothing_c11(void *arg)
{
	return arg != NULL;
}

FIRST(thrd_create, CHECK(real.thrd_create(&thread, nothing_c11, NULL) == 0);
      pthread_join(thread, NULL))
FIRST(pthread_create, CHECK(!real.pthread_create(&thread, NULL, nothing, NULL));
      pthread_join(thread, NULL))

static void resolving_twice_is_harmless(void)
{
	real_resolve();
	real_resolve();
	resolved();
	CHECK(lookups == 2 * COUNT_OF(libc));
}
CASE(resolving_twice_is_harmless)

/* ---- a look-up that allocates --------------------------------------------------- */

static void *from_arena[8];

static void check_zeroed(const char *p, size_t n)
{
	while (n--)
		CHECK(p[n] == 0);
}

/* On the first lookup nothing is resolved, and every function must still work. */
static void use_everything(void)
{
	void *p = NULL;

	while_resolving = NULL;
	from_arena[0] = real.malloc(100);
	from_arena[1] = real.calloc(10, 10);
	check_zeroed(from_arena[1], 100);
	memset(from_arena[1], 7, 100);
	from_arena[2] = real.realloc(from_arena[1], 200);
	CHECK(((char *)from_arena[2])[99] == 7);
	CHECK(real.posix_memalign(&p, 256, 10) == 0 && (uintptr_t)p % 256 == 0);
	from_arena[3] = p;
	from_arena[4] = real.aligned_alloc(64, 64);
	from_arena[5] = real.memalign(4, 64);
	from_arena[6] = real.valloc(10);
	from_arena[7] = real.pvalloc(10);
	for (int i = 0; i < 8; i++) {
		CHECK(from_arena[i] && real_is_bootstrap(from_arena[i]));
		CHECK((uintptr_t)from_arena[i] % 16 == 0 && live_maybe(from_arena[i]));
	}
	CHECK((uintptr_t)from_arena[6] % 4096 == 0);
	real.free(from_arena[0]);
	real.free(NULL);
	p = real.mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && real.mremap(p, 8192, 4096, 0) == p);
	CHECK(real.madvise(p, 4096, MADV_DONTNEED) == 0);
	CHECK(real.mprotect(p, 4096, PROT_NONE) == 0 && real.munmap(p, 4096) == 0);
	CHECK(real.mprotect((void *)1, 4096, PROT_NONE) == -1 && errno == EINVAL);
	CHECK(real.munmap((void *)1, 4096) == -1 && errno == EINVAL);
	CHECK(real.pthread_create(&thread, NULL, nothing, NULL) == 0);
	pthread_join(thread, NULL);
}

static void a_handler_may_allocate(void)
{
	while_resolving = use_everything;
	block = real.malloc(10);
	CHECK(block && !real_is_bootstrap(block));
	resolved();
	free(block);
	/* A block of the arena survives that: realloc turns it into a real one with its bytes. */
	memset(from_arena[2], 5, 200);
	char *grown = real_bootstrap_realloc(from_arena[2], 300);
	CHECK(grown && !real_is_bootstrap(grown) && grown[0] == 5 && grown[199] == 5);
	free(grown);
	char *less = real_bootstrap_realloc(from_arena[2], 3);
	CHECK(less && less[2] == 5);
	free(less);
	CHECK(real_bootstrap_realloc(from_arena[2], 0) == NULL);
	CHECK(!real_is_bootstrap(&block) && !real_is_bootstrap(NULL));
}
CASE(a_handler_may_allocate)

static void refuse_nonsense(void)
{
	void *p = &p;

	while_resolving = NULL;
	errno = 0;
	CHECK(!real.calloc(SIZE_MAX / 2, 3) && errno == ENOMEM);
	errno = 0;
	CHECK(!real.malloc(SIZE_MAX - 4) && errno == ENOMEM);
	CHECK(!real.malloc(1 << 20));
	errno = 0;
	CHECK(real.posix_memalign(&p, 48, 8) == EINVAL && p == &p && errno == 0);
	CHECK(real.posix_memalign(&p, 16, 1 << 20) == ENOMEM && errno == 0);
	CHECK(!real.pvalloc(SIZE_MAX - 4));
	/* Down to the last byte, then failure; earlier blocks do not overlap. */
	char *before = NULL, *q;
	for (int n = 0; (q = real.malloc(1000)); n++) {
		CHECK(n < 70 && (!before || q >= before + 1000));
		check_zeroed(q, 1000);
		memset(q, 1, 1000);
		before = q;
	}
	CHECK(before && errno == ENOMEM);
}

static void the_arena_has_an_end(void)
{
	while_resolving = refuse_nonsense;
	real_resolve();
	resolved();
}
CASE(the_arena_has_an_end)

/* ---- a libc that lacks some -------------------------------------------------------- */

static void what_is_missing_is_substituted(void)
{
	lacking = "aligned_alloc,memalign,valloc,pvalloc,pthread_create,";
	errno = 3;
	real_resolve();
	CHECK(errno == 3);
	void *p = real.aligned_alloc(128, 128), *q = real.memalign(1, 100), *v = real.valloc(5000),
	     *w = real.pvalloc(5000), *e = real.pvalloc(0);
	CHECK(p && (uintptr_t)p % 128 == 0 && q && v && (uintptr_t)v % 4096 == 0);
	CHECK(w && (uintptr_t)w % 4096 == 0 && malloc_usable_size(w) >= 8192 && e);
	CHECK(!real.memalign(24, 8) && errno == EINVAL);
	CHECK(!real.pvalloc(SIZE_MAX) && errno == ENOMEM);
	CHECK(real.pthread_create(&thread, NULL, nothing, NULL) == EAGAIN);
	free(p), free(q), free(v), free(w), free(e);
	lacking = NULL; /* its library has been loaded since */
	CHECK(real.pthread_create(&thread, NULL, nothing, NULL) == 0);
	pthread_join(thread, NULL);
	CHECK(real.pthread_create == pthread_create);
}
CASE(what_is_missing_is_substituted)

static void nothing_at_all_is_survived(void)
{
	lacking = "*";
	real_resolve();
	char *p = real.malloc(10), *q;
	CHECK(p && real_is_bootstrap(p));
	memcpy(p, "123456789", 10);
	q = real.realloc(p, 20);
	CHECK(q && !memcmp(q, p, 10));
	real.free(q);
	p = real.mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && real.mremap(p, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
					     p + (1 << 20)) == p + (1 << 20));
	CHECK(real.munmap(p + (1 << 20), 4096) == 0);
}
CASE(nothing_at_all_is_survived)

/* ---- two threads at once ---------------------------------------------------------------- */

static pthread_barrier_t barrier;
static __thread bool met;

static void meet_while_resolving(void)
{
	if (!met) {
		met = true;
		pthread_barrier_wait(&barrier);
		CHECK(real_is_bootstrap(real.calloc(1, 8)) || real.calloc == calloc);
	}
}

static void *resolve_in_thread(void *arg)
{
	void *p = real.malloc(10);
	CHECK(p && !real_is_bootstrap(p));
	free(p);
	return arg;
}

static void two_threads_may_resolve_at_once(void)
{
	pthread_t t[2];

	pthread_barrier_init(&barrier, NULL, 2);
	while_resolving = meet_while_resolving;
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&t[i], NULL, resolve_in_thread, NULL));
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_join(t[i], NULL));
	resolved();
}
CASE(two_threads_may_resolve_at_once)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_malloc),
		cmocka_unit_test(test_first_free),
		cmocka_unit_test(test_first_free_sized),
		cmocka_unit_test(test_first_free_aligned_sized),
		cmocka_unit_test(test_first_calloc),
		cmocka_unit_test(test_first_realloc),
		cmocka_unit_test(test_first_posix_memalign),
		cmocka_unit_test(test_first_aligned_alloc),
		cmocka_unit_test(test_first_memalign),
		cmocka_unit_test(test_first_valloc),
		cmocka_unit_test(test_first_pvalloc),
		cmocka_unit_test(test_first_mmap),
		cmocka_unit_test(test_first_munmap),
		cmocka_unit_test(test_first_mprotect),
		cmocka_unit_test(test_first_mremap),
		cmocka_unit_test(test_first_madvise),
		cmocka_unit_test(test_first_thrd_create),
		cmocka_unit_test(test_first_pthread_create),
		cmocka_unit_test(test_resolving_twice_is_harmless),
		cmocka_unit_test(test_a_handler_may_allocate),
		cmocka_unit_test(test_the_arena_has_an_end),
		cmocka_unit_test(test_what_is_missing_is_substituted),
		cmocka_unit_test(test_nothing_at_all_is_survived),
		cmocka_unit_test(test_two_threads_may_resolve_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
