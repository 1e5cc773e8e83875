/*
 * Threads that map, cut, protect, move and cover at random, each in a separate area that a model
 * knows page by page. Meanwhile no figure is negative, and in the end the sum equals the
 * model's.
 */
#include <pthread.h>

#include "mappings.h"

#define THREADS 3
#define PAGES   48
#define STEPS   3000

struct area {
	char *start;
	bool mapped[PAGES], usable[PAGES];
	uint64_t random;
};

static unsigned draw(struct area *a, unsigned below)
{
	a->random ^= a->random << 13, a->random ^= a->random >> 7, a->random ^= a->random << 17;
	return (unsigned)((a->random >> 33) % below);
}

static void set(bool *flags, unsigned first, unsigned n, bool to)
{
	for (unsigned i = first; i < first + n; i++)
		flags[i] = to;
}

static bool all(const bool *flags, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		if (!flags[i])
			return false;
	return true;
}

static NOINLINE void step(struct area *a)
{
	unsigned first = draw(a, PAGES), n = 1 + draw(a, PAGES - first), to;
	char *p = a->start + first * PAGE;
	bool usable = draw(a, 2);
	int prot = usable ? RW : PROT_NONE;

	switch (draw(a, 4)) {
	case 0:
		CHECK(mmap(p, n * PAGE, prot, ANON | MAP_FIXED | MAP_NORESERVE, -1, 0) == p);
		set(a->mapped, first, n, true);
		set(a->usable, first, n, usable);
		break;
	case 1:
		CHECK(munmap(p, n * PAGE) == 0);
		set(a->mapped, first, n, false);
		set(a->usable, first, n, false);
		break;
	case 2:
		if (!all(a->mapped, first, n))
			break;
		CHECK(mprotect(p, n * PAGE, prot) == 0);
		set(a->usable, first, n, usable);
		break;
	case 3:
		/* One page is one mapping: some kernel versions cannot move two at once. */
		to = draw(a, PAGES);
		if (to == first || !a->mapped[first])
			break;
		CHECK(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a->start + to * PAGE) ==
		      a->start + to * PAGE);
		a->mapped[to] = true;
		a->usable[to] = a->usable[first];
		a->mapped[first] = a->usable[first] = false;
		break;
	}
}

/* A hole must not be reused, so the areas are where the kernel places nothing. */
static void begin(struct area *a, int number)
{
	a->start = (char *)(0x100000000000ul + (unsigned long)number * 0x10000000);
	a->random = 0x9E3779B97F4A7C15u * (unsigned)(number + 1);
}

static void *work(void *arg)
{
	for (int i = 0; i < STEPS; i++)
		step(arg);
	return NULL;
}

int main(void)
{
	static struct area areas[THREADS];
	pthread_t threads[THREADS];
	long long usable = 0;

	for (int i = 0; i < THREADS; i++) {
		begin(&areas[i], i);
		CHECK(pthread_create(&threads[i], NULL, work, &areas[i]) == 0);
	}
	for (int i = 0; i < 20; i++)
		CHECK(mappings_of("mmap", NULL).bytes <= THREADS * PAGES * (long long)PAGE);
	for (int i = 0; i < THREADS; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0);
		for (int page = 0; page < PAGES; page++)
			usable += areas[i].usable[page];
	}
	CHECK(mappings_of("mmap", NULL).bytes == usable * (long long)PAGE);
	for (int i = 0; i < THREADS; i++)
		CHECK(munmap(areas[i].start, PAGES * PAGE) == 0);
	IN_USE("mmap", NULL, 0, 0);
	return 0;
}
