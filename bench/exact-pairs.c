/*
 * malloc and free pairs of one size from 12 frames deep, 64 blocks live. bench/exact runs it, and
 * bench/exact-go has the same in Go.
 *
 *   exact-pairs count N   N pairs, for callgrind to count
 *   exact-pairs time N    nanoseconds of the thread's processor time for each of N pairs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVE  64
#define BYTES 32
#define DEPTH 12 /* with the two functions at the ends */

static void *ring[LIVE];

__attribute__((noinline)) static void pairs(long n)
{
	for (long i = 0; i < n; i++) {
		free(ring[i % LIVE]);
		ring[i % LIVE] = malloc(BYTES);
	}
}

__attribute__((noinline)) static void deep(int depth, long n)
{
	if (depth > 2)
		deep(depth - 1, n);
	else
		pairs(n);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	long n = atol(argv[2]);
	double begun;

	deep(DEPTH, LIVE); /* fills the ring, glibc's cache and the profiler's tables */
	begun = cpu_ns();
	deep(DEPTH, n);
	if (!strcmp(argv[1], "time"))
		printf("%.1f\n", (cpu_ns() - begun) / (double)n);
	return 0;
}
