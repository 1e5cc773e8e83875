/*
 * Weight in a service, for a soak: BALLAST_BLOCKS blocks of 100 KiB that stay, two
 * threads that free and allocate small blocks all the time, and from second
 * BALLAST_LEAK_AT on a leak of 1 MiB a second in blocks of 64 KiB.  What has leaked
 * is told in the file BALLAST_TRUTH, in bytes.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)100 << 10)
#define LEAK_BYTES  ((size_t)64 << 10)
#define RING        8192
#define PAUSE_EVERY 256

static void *volatile kept;

static void *churn(void *unused)
{
	static __thread void *ring[RING];

	for (unsigned i = 0;; i++) {
		void **slot = &ring[i % RING];

		free(*slot);
		*slot = malloc(32 + i * 7 % 200);
		if (i % PAUSE_EVERY == 0)
			usleep(200);
	}
	return unused;
}

__attribute__((noinline)) void *ballast_leak(void)
{
	char *block = malloc(LEAK_BYTES);

	if (block)
		block[0] = 1;
	return block;
}

static void tell(const char *path, size_t bytes)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%-20zu\n", bytes);
	FILE *file = fopen(path, "w");

	if (!file)
		return;
	fwrite(text, 1, (size_t)length, file);
	fclose(file);
}

static void *leak(void *unused)
{
	size_t leaked = 0;

	sleep((unsigned)atoi(getenv("BALLAST_LEAK_AT")));
	for (;;) {
		for (size_t bytes = 0; bytes < (size_t)1 << 20; bytes += LEAK_BYTES)
			kept = ballast_leak();
		leaked += (size_t)1 << 20;
		tell(getenv("BALLAST_TRUTH"), leaked);
		sleep(1);
	}
	return unused;
}

static void *weigh(void *unused)
{
	int blocks = atoi(getenv("BALLAST_BLOCKS"));

	for (int i = 0; i < blocks; i++)
		kept = malloc(BLOCK_BYTES);
	return unused;
}

__attribute__((constructor)) static void begin(void)
{
	pthread_t thread;

	if (!getenv("BALLAST_BLOCKS"))
		return;
	pthread_create(&thread, NULL, weigh, NULL);
	pthread_create(&thread, NULL, churn, NULL);
	pthread_create(&thread, NULL, churn, NULL);
	pthread_create(&thread, NULL, leak, NULL);
}
