/*
 * Many sampled blocks stay while other blocks come and go, and then a leak begins: the interval
 * stays as requested, and the leak is seen.
 */
#include <math.h>
#include <pthread.h>
#include <time.h>

#include "../mappings/mappings.h"

#define INTERVAL 524288.0
#define LIVE     20000
#define LEAKED   3000
#define SIZE     ((size_t)100 << 10)
#define RING     8192
#define MILLIS   3000

static int over;

/* Paced: at full speed, recording alone would exceed its bound on a fast machine. */
static void *come_and_go(void *arg)
{
	struct timespec pause = {.tv_nsec = 100000};
	static __thread void *ring[RING];

	for (unsigned i = 0; !__atomic_load_n(&over, __ATOMIC_RELAXED); i++) {
		free(ring[i % RING]);
		ring[i % RING] = malloc(32 + i * 7 % 200);
		if (i % 500 == 0)
			nanosleep(&pause, NULL);
	}
	return arg;
}

NOINLINE void *leak_late(void)
{
	return OPAQUE(malloc(SIZE));
}

int main(void)
{
	struct timespec pause = {.tv_nsec = 1000000};
	double met = 1 - exp(-(double)SIZE / INTERVAL);
	struct mappings_figures seen;
	pthread_t threads[2];

	for (int i = 0; i < LIVE; i++)
		CHECK(OPAQUE(malloc((size_t)1 << 20)));
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&threads[i], NULL, come_and_go, NULL));
	for (int i = 0; i < MILLIS; i++) {
		if (i % (MILLIS / LEAKED) == 0)
			leak_late();
		nanosleep(&pause, NULL);
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK(hooks_status("sample_bytes") == (long long)INTERVAL);
	CHECK(hooks_status_says("\"raised_for\":null"));
	seen = mappings_of("malloc", "leak_late");
	/* Five standard errors: sqrt(n (1 - p) / p). */
	CHECK(fabs((double)seen.objects - LEAKED) < 5 * sqrt(LEAKED * (1 - met) / met));
	return 0;
}
