/*
 * CGOHEAP_FOLLOW_FORK=1 and a library whose lock is taken for each fork after the shim's locks,
 * while its holders allocate and map: fork returns.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include "life.h"

static int stop;

static void *hold_and_map(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		CHECK(pthread_mutex_lock(arg) == 0);
		free(malloc(100));
		void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED && munmap(p, 4096) == 0);
		CHECK(pthread_mutex_unlock(arg) == 0);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[2];
	void *lock = dlsym(RTLD_DEFAULT, "fork_lock");

	CHECK(lock != NULL);
	alarm(60);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, hold_and_map, lock) == 0);
	for (int i = 0; i < 5; i++) {
		int status = -1;
		pid_t child = fork();
		if (child == 0) {
			free(malloc(100));
			_exit(0);
		}
		CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	return 0;
}
