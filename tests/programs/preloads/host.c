/*
 * Allocates on some threads, reads the time and copies; then with every floating-point exception
 * unmasked and a different rounding mode, which malloc must neither raise nor notice. Exits with
 * 7 if all is well.
 */
#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static void *work(void *unused)
{
	static char from[64];
	char to[64];
	for (int i = 0; i < 20000; i++) {
		free(malloc(100 + (size_t)i % 1000));
		if (i % 1000 == 0) {
			struct timespec t;
			clock_gettime(CLOCK_MONOTONIC, &t);
			memcpy(to, from, 1 + (size_t)i % 64);
			munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			       4096);
		}
	}
	return unused;
}

static int floats_are_left_alone(void)
{
	int raised = 0;
	for (int i = 0; i < 2000; i++) {
		feclearexcept(FE_ALL_EXCEPT);
		free(malloc(10000));
		raised += fetestexcept(FE_ALL_EXCEPT) != 0;
	}
	fesetround(FE_UPWARD);
	feenableexcept(FE_ALL_EXCEPT);
	for (int i = 0; i < 20000; i++)
		free(malloc(100 + (size_t)i % 10000));
	pthread_t t;
	pthread_create(&t, NULL, work, NULL);
	pthread_join(t, NULL);
	return raised == 0 && fegetround() == FE_UPWARD && fegetexcept() == FE_ALL_EXCEPT;
}

int main(void)
{
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, work, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return floats_are_left_alone() ? 7 : 1;
}
