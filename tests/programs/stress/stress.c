/*
 * Everything at once: threads that allocate, pass on and free blocks, map and unmap, start and
 * end, while libraries come and go, sampling is switched and every page of the socket is
 * requested. At the end, when everything is freed, nothing may be left: no live sample, no
 * mapping of ours, and no byte overwritten by another block.
 *
 * It runs with the shim preloaded and, for the sanitizers, with the shim's objects linked into
 * it and its own calls renamed to the hooks (run.sh).
 *
 *  stress SECONDS [MICROSECONDS]
 *
 * MICROSECONDS: how long busy threads rest after each round. Where threads run one at a time
 * (valgrind), the shim's threads would not run otherwise.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "../life/life.h"

#define SLOTS 256
#define PAGE  4096

/* The library that comes and goes: one that glibc brings and this program does not need, unless
 * STRESS_LIBRARY names another. */
#define LIBRARY "libnss_compat.so.2"

static bool ending;

/* What each kind of thread has done: each must have made progress. */
static struct rounds {
	uint64_t blocks, ranges, threads, libraries, switches, answers;
} rounds;

#define COUNT(what) __atomic_fetch_add(&rounds.what, 1, __ATOMIC_RELAXED)

static bool is_over(void)
{
	return __atomic_load_n(&ending, __ATOMIC_RELAXED);
}

static long rest_us;

static void sleep_us(long us)
{
	if (us)
		nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x;
}

/* ---- blocks: filled when allocated, checked when freed, often by another thread --- */

/* Every block's size is used by no other code. */
#define MARK       101
#define MARK_OF    37
#define SIZE(n)    (505 + MARK_OF + (n)*MARK)
#define IS_OURS(n) ((n) >= SIZE(0) && (n) % MARK == MARK_OF)

struct block {
	size_t size;
	unsigned char fill[];
};

static struct block *slots[SLOTS];

static struct block *fill(void *p, size_t size)
{
	struct block *b = p;
	CHECK(b);
	b->size = size;
	memset(b->fill, (int)(size & 0xff), size - sizeof(*b));
	return b;
}

static void look(const struct block *b)
{
	size_t last;
	CHECK(IS_OURS(b->size));
	last = b->size - sizeof(*b) - 1;
	for (size_t i = 0; i < last; i += 1 + last / 7)
		CHECK(b->fill[i] == (b->size & 0xff));
	CHECK(b->fill[last] == (b->size & 0xff));
}

static void give_back(struct block *b)
{
	if (!b)
		return;
	look(b);
	free(b);
}

static void *by_posix(size_t alignment, size_t size)
{
	void *p = NULL;
	CHECK(posix_memalign(&p, alignment, size) == 0);
	return p;
}

/* The old content must be there. */
static void *grown(size_t size)
{
	struct block *b = fill(malloc(SIZE(0)), SIZE(0));
	b = realloc(b, size);
	CHECK(b && b->size == SIZE(0) && b->fill[SIZE(0) - sizeof(*b) - 1] == (SIZE(0) & 0xff));
	return b;
}

static void *any_of(unsigned kind, size_t size)
{
	switch (kind) {
	case 0:
		return calloc(1, size);
	case 1:
		return grown(size);
	case 2:
		return by_posix(64, size);
	case 3:
		return aligned_alloc(size & -size, size);
	case 4:
		return memalign(PAGE, size);
	case 5:
		return reallocarray(NULL, 1, size);
	case 6:
		return valloc(size);
	default:
		return malloc(size);
	}
}

/* Mostly small; one in 64 may be above glibc's threshold for a separate mapping. */
static struct block *take(uint64_t x)
{
	size_t size = SIZE((x >> 8) % (x % 64 ? 20 : 3000));
	return fill(any_of((unsigned)(x >> 60), size), size);
}

static void *allocate(void *arg)
{
	uint64_t x = ((uintptr_t)arg + 1) * 0x9e3779b97f4a7c15;

	while (!is_over()) {
		struct block *mine = take(next(&x));
		give_back(__atomic_exchange_n(&slots[x % SLOTS], mine, __ATOMIC_ACQ_REL));
		COUNT(blocks);
		sleep_us(rest_us);
	}
	return NULL;
}

/* ---- ranges ----------------------------------------------------------------- */

#define RANGE_PAGES 67
#define STACK_PAGES 68

static char *mapped(int prot)
{
	char *p = mmap(NULL, RANGE_PAGES * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

/* Enlarged and moved, then freed in two parts. The race detector's runtime does not know mremap. */
static void moved(char *p)
{
	size_t bytes = RANGE_PAGES * PAGE;

	p[PAGE] = 1;
#ifndef __SANITIZE_THREAD__
	p = mremap(p, bytes, 2 * bytes, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED && p[PAGE] == 1);
	bytes *= 2;
#endif
	CHECK(munmap(p + PAGE, bytes - PAGE) == 0);
	CHECK(munmap(p, PAGE) == 0);
}

/* Reserved, made usable, and cut. The hole is never closed, because another thread may have
 * mapped there. */
static void cut(char *p)
{
	CHECK(mprotect(p + PAGE, (RANGE_PAGES - 1) * PAGE, PROT_READ | PROT_WRITE) == 0);
	p[3 * PAGE] = 1;
	CHECK(madvise(p + 3 * PAGE, PAGE, MADV_DONTNEED) == 0);
	CHECK(munmap(p + 2 * PAGE, PAGE) == 0);
	CHECK(munmap(p + 3 * PAGE, (RANGE_PAGES - 3) * PAGE) == 0);
	CHECK(munmap(p, 2 * PAGE) == 0);
}

static void *map(void *arg)
{
	uint64_t x = ((uintptr_t)arg + 77) * 0x9e3779b97f4a7c15;

	while (!is_over()) {
		if (next(&x) >> 63)
			cut(mapped(PROT_NONE));
		else
			moved(mapped(PROT_READ | PROT_WRITE));
		COUNT(ranges);
		sleep_us(rest_us);
	}
	return NULL;
}

/* ---- threads and libraries that come and go -------------------------------------- */

static void *short_life(void *arg)
{
	uint64_t x = (uintptr_t)arg * 0x9e3779b97f4a7c15;

	for (int i = 0; i < 8; i++)
		give_back(take(next(&x)));
	return take(next(&x));
}

/* A block outlives each thread; the joining thread frees it. */
static void *spawn(void *arg)
{
	uintptr_t n = 1;
	pthread_attr_t attributes;

	(void)arg;
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, STACK_PAGES * PAGE) == 0);
	while (!is_over()) {
		pthread_t threads[4];
		void *left;
		for (int i = 0; i < 4; i++)
			CHECK(pthread_create(&threads[i], &attributes, short_life, (void *)n++) ==
			      0);
		for (int i = 0; i < 4; i++) {
			CHECK(pthread_join(threads[i], &left) == 0);
			give_back(left);
			COUNT(threads);
		}
		sleep_us(rest_us);
	}
	return NULL;
}

static void *load(void *arg)
{
	const char *name = getenv("STRESS_LIBRARY");

	(void)arg;
	while (!is_over()) {
		void *library = dlopen(name ? name : LIBRARY, RTLD_NOW | RTLD_LOCAL);
		CHECK(library && dlclose(library) == 0);
		COUNT(libraries);
		sleep_us(5000);
	}
	return NULL;
}

/* ---- sampling on and off, and the socket -------------------------------------------- */

static void *toggle(void *arg)
{
	static const char *const queries[] = {"state=on&sample_bytes=1", "state=off",
					      "state=on&sample_bytes=65536",
					      "state=on&for=1s&sample_bytes=1", "state=off"};
	(void)arg;
	for (size_t i = 0; !is_over(); i = (i + 1) % COUNT_OF(queries)) {
		life_sampling(queries[i]);
		COUNT(switches);
		sleep_us(20000);
	}
	return NULL;
}

static const char *const pages[] = {"/debug/pprof/cgoheap",
				    "/debug/pprof/cgoheap?debug=1",
				    "/debug/pprof/cgoheap?symbols=none",
				    "/debug/pprof/cgoheap?older=1s",
				    "/debug/pprof/memory",
				    "/v1/account",
				    "/v1/status",
				    "/metrics",
				    "/debug/pprof/"};

static void *ask(void *arg)
{
	(void)arg;
	for (size_t i = 0; !is_over(); i = (i + 1) % COUNT_OF(pages)) {
		CHECK(hooks_get(pages[i])[0]);
		COUNT(answers);
	}
	return NULL;
}

/* ---- all ------------------------------------------------------------------------------ */

static bool all_did_something(void)
{
#define DONE(what, least) (__atomic_load_n(&rounds.what, __ATOMIC_RELAXED) >= (least))
	return DONE(blocks, 1000) && DONE(ranges, 100) && DONE(threads, 16) && DONE(libraries, 3) &&
	       DONE(switches, 5) && DONE(answers, COUNT_OF(pages));
}

static void last(time_t seconds)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		sleep_us(100000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < seconds || !all_did_something());
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
}

/* Of our blocks; *ever: how many were recorded. */
static long long live_of_ours(long long *ever)
{
	const char *line = hooks_get("/debug/pprof/cgoheap?debug=1&symbols=none"), *next_line;
	long long live, live_bytes, allocated, left = 0, size = 0;

	for (*ever = 0; line; line = next_line) {
		const char *label;
		next_line = strchr(line, '\n');
		next_line += next_line != NULL;
		if (sscanf(line, "%lld: %lld [%lld:", &live, &live_bytes, &allocated) != 3)
			continue;
		label = next_line ? strstr(next_line, "origin=malloc bytes=") : NULL;
		if (label)
			size = atoll(label + strlen("origin=malloc bytes="));
		if (label && label - next_line < 4 && IS_OURS((size_t)size))
			left += live, *ever += allocated;
	}
	return left;
}

static void nothing_is_left(void)
{
	struct hooks_figures ranges, stacks;
	long long ever, blocks;

	for (int i = 0; i < SLOTS; i++)
		give_back(slots[i]);
	blocks = live_of_ours(&ever);
	ranges = hooks_figures_of(RANGE_PAGES * PAGE);
	stacks = hooks_figures_of(STACK_PAGES * PAGE);
	printf("%llu blocks (%lld recorded), %llu ranges (%lld), %llu threads (%lld), %llu "
	       "switches, %llu answers\n",
	       (unsigned long long)rounds.blocks, ever, (unsigned long long)rounds.ranges,
	       ranges.allocs, (unsigned long long)rounds.threads, stacks.allocs,
	       (unsigned long long)rounds.switches, (unsigned long long)rounds.answers);
	CHECK(ever > 0 && blocks == 0);
	CHECK(ranges.allocs > 0 && ranges.live == 0);
	CHECK(stacks.allocs > 0 && stacks.live == 0);
	CHECK(hooks_status("stale") == 0);
	CHECK(hooks_status("live_full") == 0);
}

int main(int argc, char **argv)
{
	static void *(*const kinds[])(void *) = {allocate, allocate, allocate, map, map,
						 spawn,    load,     toggle,   ask};
	pthread_t threads[COUNT_OF(kinds)];

	CHECK(argc == 2 || argc == 3);
	rest_us = argc == 3 ? atol(argv[2]) : 0;
	for (uintptr_t i = 0; i < COUNT_OF(kinds); i++)
		CHECK(pthread_create(&threads[i], NULL, kinds[i], (void *)i) == 0);
	last(atoi(argv[1]));
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	nothing_is_left();
	return 0;
}
