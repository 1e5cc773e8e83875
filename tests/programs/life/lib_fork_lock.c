/*
 * A lock that is held during each fork, like an allocator's. Loaded before the shim's
 * constructor runs.
 */
#include <pthread.h>

pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void)
{
	pthread_mutex_lock(&fork_lock);
}

static void give(void)
{
	pthread_mutex_unlock(&fork_lock);
}

__attribute__((constructor)) static void init(void)
{
	pthread_atfork(take, give, give);
}
