/* See late.c: the plugin, linked to libpthread. */
#include <pthread.h>

int run_thread(void *(*start)(void *), void *arg, void **result);
int run_thread(void *(*start)(void *), void *arg, void **result)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, start, arg);

	return error ? error : pthread_join(thread, result);
}
