/*
 * Threads that allocate, pass on blocks, free other threads' blocks, and end: with the smallest
 * possible stack, and with destructors that still allocate. The final figures are exact.
 */
#include <limits.h>
#include <pthread.h>

#include "hooks.h"

#define THREADS 4
#define ROUNDS  20000
#define SLOTS   512

static void *slots[SLOTS];
static long long allocated, freed;
static pthread_key_t key;

static void late(void *value)
{
	free(malloc(7901));
	if ((uintptr_t)value < 3)
		pthread_setspecific(key, (char *)value + 1);
}

static void *work(void *arg)
{
	uint64_t x = (uintptr_t)arg * 2654435761u + 1;

	pthread_setspecific(key, (void *)1);
	for (int n = 0; n < ROUNDS; n++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		void *mine = malloc(7919);
		if (x >> 60 == 0)
			mine = realloc(mine, OPAQUE((size_t)7919));
		__atomic_fetch_add(&allocated, 1 + (x >> 60 == 0), __ATOMIC_RELAXED);
		__atomic_fetch_add(&freed, x >> 60 == 0, __ATOMIC_RELAXED);
		void *old = __atomic_exchange_n(&slots[x % SLOTS], mine, __ATOMIC_ACQ_REL);
		if (old) {
			free(old);
			__atomic_fetch_add(&freed, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

static void *once(void *arg)
{
	free(malloc(7907));
	pthread_setspecific(key, (void *)1);
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];
	pthread_attr_t small;

	CHECK(pthread_key_create(&key, late) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	EXPECT(7919, allocated, allocated - freed);
	EXPECT(7901, THREADS * 3, 0);

	CHECK(pthread_attr_init(&small) == 0);
	CHECK(pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN) == 0);
	for (int i = 0; i < 300; i++) {
		CHECK(pthread_create(&threads[0], &small, once, NULL) == 0);
		CHECK(pthread_join(threads[0], NULL) == 0);
	}
	EXPECT(7907, 300, 0);
	EXPECT(7901, THREADS * 3 + 900, 0);
	CHECK(hooks_status("stale") == 0 && hooks_status("threads") <= 2);
	for (int i = 0; i < SLOTS; i++)
		free(slots[i]);
	EXPECT(7919, allocated, 0);
	return 0;
}
