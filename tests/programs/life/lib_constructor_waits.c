/* See constructor_waits.c. */
#include <pthread.h>
#include <stdlib.h>

void *waits_block;
void waits_ask(void); /* the program's */

static void *allocate(void *size)
{
	return malloc((size_t)size);
}

static void *on_a_thread(size_t size)
{
	pthread_t thread;
	void *p;
	if (pthread_create(&thread, NULL, allocate, (void *)size) || pthread_join(thread, &p))
		abort();
	return p;
}

__attribute__((constructor)) static void load(void)
{
	waits_block = on_a_thread(7919);
	waits_ask();
}

__attribute__((destructor)) static void unload(void)
{
	free(on_a_thread(7927));
}
