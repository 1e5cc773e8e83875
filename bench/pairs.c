/*
 * malloc and free pairs, and nothing else.
 *
 *   pairs count N [SIZE]      N pairs, for callgrind to count
 *   pairs time DEPTH [SIZE]   nanoseconds a pair, from DEPTH frames deep, the best of several
 * rounds pairs hold N DEPTH [SIZE] the same, each block held for N pairs
 *
 * The best of several: whatever else the machine does only ever adds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS      15
#define ROUND_PAIRS 100000
#define LIMIT_NS    2e9 /* a slow profiler gets fewer rounds */

static inline void *opaque(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

__attribute__((noinline)) static void pairs(long n, size_t size)
{
	for (long i = 0; i < n; i++)
		free(opaque(malloc(size)));
}

/* A ring of live blocks, as a program has that does not free at once. */
__attribute__((noinline)) static void hold(long n, size_t size, void **ring, long ring_size)
{
	for (long i = 0; i < n; i++) {
		void **slot = &ring[i % ring_size];
		free(opaque(*slot));
		*slot = malloc(size);
	}
}

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

__attribute__((noinline)) static double deep(int depth, size_t size, void **ring, long ring_size)
{
	double best = 1e18;

	if (depth > 0) {
		best = deep(depth - 1, size, ring, ring_size);
		__asm__ volatile("" ::: "memory"); /* no tail call */
		return best;
	}
	double begin = now_ns();
	for (int r = 0; r < ROUNDS && (r < 2 || now_ns() - begin < LIMIT_NS); r++) {
		double start = now_ns(), took;
		if (ring)
			hold(ROUND_PAIRS, size, ring, ring_size);
		else
			pairs(ROUND_PAIRS, size);
		took = (now_ns() - start) / ROUND_PAIRS;
		best = took < best ? took : best;
	}
	return best;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "count")) {
		free(opaque(malloc(32))); /* the first pair fills glibc's cache */
		pairs(atol(argv[2]), argc > 3 ? (size_t)atol(argv[3]) : 32);
	} else if (argc >= 3 && !strcmp(argv[1], "time")) {
		printf("%.1f\n",
		       deep(atoi(argv[2]), argc > 3 ? (size_t)atol(argv[3]) : 32, NULL, 0));
	} else if (argc >= 4 && !strcmp(argv[1], "hold")) {
		long n = atol(argv[2]);
		void **ring = calloc((size_t)n, sizeof(*ring));
		printf("%.1f\n",
		       deep(atoi(argv[3]), argc > 4 ? (size_t)atol(argv[4]) : 32, ring, n));
	} else {
		return 2;
	}
	return 0;
}
