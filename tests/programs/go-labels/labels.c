#include "labels.h"

#include <pthread.h>
#include <stdlib.h>

extern void goCalledBack(void); /* labels.go */

static volatile long count;

/* Not a tail call, so that the frame is visible. */
void *lb_malloc(size_t n)
{
	void *p = malloc(n);

	count++;
	return p;
}

void lb_around(size_t before, size_t after)
{
	lb_malloc(before);
	goCalledBack();
	lb_malloc(after);
}

static void *body(void *arg)
{
	size_t *sizes = arg;

	lb_around(sizes[0], sizes[1]);
	return NULL;
}

void lb_thread(size_t before, size_t after)
{
	size_t sizes[2] = {before, after};
	pthread_t thread;

	if (!pthread_create(&thread, NULL, body, sizes))
		pthread_join(thread, NULL);
}
