/*
 * Threads that allocate at the same time. bench/scaling runs it.
 *
 *   scaling-threads pairs THREADS N          N malloc and free pairs of 32 bytes in each thread
 *   scaling-threads fill THREADS N           N blocks of 16 to 1,023 bytes, filled and kept a while
 *   scaling-threads hash THREADS N           the same, and hashed before they are freed
 *   scaling-threads latency THREADS MS LIVE  pairs for so long, each malloc and each free timed,
 *                                            while LIVE other blocks exist
 *
 * The first three print nanoseconds for a pair: by the clock, over all threads together, and of
 * these threads' processor time. The last prints histograms.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MOST_THREADS 4096
#define RING         1024
#define BUCKETS      7 /* below 1 us, 10 us, ... 100 ms, more */

struct worker {
	pthread_t thread;
	long n;
	uint64_t state, cpu_ns; /* in all */
	uint64_t cpu[BUCKETS], wall[BUCKETS];
	uint64_t most_cpu_ns, most_wall_ns;
	long slept;
};

static void *(*work)(void *);
static pthread_barrier_t barrier;

static uint64_t ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void *opaque(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static void *pairs(void *arg)
{
	struct worker *w = arg;

	for (long i = 0; i < w->n; i++)
		free(opaque(malloc(32)));
	return NULL;
}

static uint64_t next_random(struct worker *w)
{
	w->state = w->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return w->state >> 33;
}

struct block {
	uint32_t bytes;
	uint8_t data[];
};

static uint64_t hash_of(const struct block *b)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (uint32_t i = 0; i < b->bytes; i++)
		h = (h ^ b->data[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void fill_blocks(struct worker *w, int hashes)
{
	struct block *ring[RING] = {NULL};

	for (long i = 0; i < w->n; i++) {
		uint32_t n = (uint32_t)(16 + next_random(w) % 1008);
		struct block **slot = &ring[next_random(w) % RING];
		if (hashes && *slot)
			w->state += hash_of(*slot);
		free(*slot);
		*slot = malloc(n);
		(*slot)->bytes = n - (uint32_t)sizeof(struct block);
		memset((*slot)->data, (int)n, (*slot)->bytes);
	}
	for (int i = 0; i < RING; i++)
		free(ring[i]);
}

static void *fill(void *arg)
{
	fill_blocks(arg, 0);
	return NULL;
}

static void *hash(void *arg)
{
	fill_blocks(arg, 1);
	return NULL;
}

/* ---- latency ------------------------------------------------------------ */

static void count(uint64_t *buckets, uint64_t *most, uint64_t took)
{
	int b = 0;

	for (uint64_t limit = 1000; b < BUCKETS - 1 && took >= limit; limit *= 10)
		b++;
	buckets[b]++;
	*most = took > *most ? took : *most;
}

static void note(struct worker *w, uint64_t wall, uint64_t cpu)
{
	count(w->wall, &w->most_wall_ns, ns(CLOCK_MONOTONIC) - wall);
	count(w->cpu, &w->most_cpu_ns, ns(CLOCK_THREAD_CPUTIME_ID) - cpu);
}

static void *timed(void *arg)
{
	struct worker *w = arg;
	struct rusage usage;

	uint64_t until = ns(CLOCK_MONOTONIC) + (uint64_t)w->n * 1000000u;
	while (ns(CLOCK_MONOTONIC) < until) {
		uint64_t cpu = ns(CLOCK_THREAD_CPUTIME_ID), wall = ns(CLOCK_MONOTONIC);
		void *p = opaque(malloc(32));
		note(w, wall, cpu);
		cpu = ns(CLOCK_THREAD_CPUTIME_ID), wall = ns(CLOCK_MONOTONIC);
		free(p);
		note(w, wall, cpu);
	}
	getrusage(RUSAGE_THREAD, &usage);
	w->slept = usage.ru_nvcsw;
	return NULL;
}

static void print_histogram(const char *name, const uint64_t *buckets, uint64_t most)
{
	static const char *const limits[BUCKETS] = {"<1us",  "<10us",  "<100us", "<1ms",
						    "<10ms", "<100ms", ">=100ms"};

	printf("  %-10s", name);
	for (int i = 0; i < BUCKETS; i++)
		if (buckets[i])
			printf(" %s %llu", limits[i], (unsigned long long)buckets[i]);
	printf(" longest_us %.0f\n", (double)most / 1000);
}

static void print_latency(struct worker *workers, int threads)
{
	struct worker *all = &workers[0];
	long slept = all->slept;

	for (int t = 1; t < threads; t++) {
		const struct worker *w = &workers[t];
		for (int i = 0; i < BUCKETS; i++) {
			all->cpu[i] += w->cpu[i];
			all->wall[i] += w->wall[i];
		}
		if (w->most_cpu_ns > all->most_cpu_ns)
			all->most_cpu_ns = w->most_cpu_ns;
		if (w->most_wall_ns > all->most_wall_ns)
			all->most_wall_ns = w->most_wall_ns;
		slept += w->slept;
	}
	print_histogram("processor", all->cpu, all->most_cpu_ns);
	print_histogram("clock", all->wall, all->most_wall_ns);
	printf("  slept %ld\n", slept);
}

/* ---- running ------------------------------------------------------------ */

/* Keeps LIVE blocks until the end. */
static int hold(long live)
{
	void **held = malloc((size_t)live * sizeof(*held));

	for (long i = 0; held && i < live; i++)
		held[i] = malloc(48);
	return held ? 0 : -1;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(&barrier);
	w->cpu_ns = ns(CLOCK_THREAD_CPUTIME_ID);
	work(w);
	w->cpu_ns = ns(CLOCK_THREAD_CPUTIME_ID) - w->cpu_ns;
	return NULL;
}

int main(int argc, char **argv)
{
	static struct worker workers[MOST_THREADS];
	int threads = argc > 3 ? atoi(argv[2]) : 0;
	uint64_t begun, took, cpu = 0;

	if (threads < 1 || threads > MOST_THREADS)
		return 2;
	work = !strcmp(argv[1], "pairs")  ? pairs
	       : !strcmp(argv[1], "fill") ? fill
	       : !strcmp(argv[1], "hash") ? hash
					  : timed;
	if (work == timed && hold(argc > 4 ? atol(argv[4]) : 0))
		return 1;
	pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
	for (int t = 0; t < threads; t++) {
		workers[t].n = atol(argv[3]);
		workers[t].state = (uint64_t)t + 1;
		if (pthread_create(&workers[t].thread, NULL, run, &workers[t]))
			return 1;
	}
	pthread_barrier_wait(&barrier);
	begun = ns(CLOCK_MONOTONIC);
	for (int t = 0; t < threads; t++) {
		pthread_join(workers[t].thread, NULL);
		cpu += workers[t].cpu_ns;
	}
	took = ns(CLOCK_MONOTONIC) - begun;
	double all = (double)threads * (double)workers[0].n;
	if (work == timed)
		print_latency(workers, threads);
	else
		printf("%.2f %.2f\n", (double)took / all, (double)cpu / all);
	return 0;
}
