/*
 * Handlers without SA_ONSTACK run on the stack that they interrupt, also in the middle of a
 * hook: one that needs much stack, and one by which a garbage collector stops a thread, to scan
 * for addresses from its stack pointer to the stack's end.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>

#include "life.h"

#define MUCH (192 * 1024)

static int stop, handled;

static void want_much(int signal)
{
	volatile char room[MUCH];

	(void)signal;
	for (size_t i = 0; i < sizeof(room); i += 4096)
		room[i] = 1;
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void allocate_once(size_t size)
{
	void *p = malloc(size);

	p = realloc(p, size + 1);
	free(p);
}

static uintptr_t seen, top;
static sem_t stopped;
static int collection, collected;

static void stop_for_collector(int signal)
{
	int mine = __atomic_load_n(&collection, __ATOMIC_RELAXED);
	char here;

	(void)signal;
	seen = (uintptr_t)&here;
	sem_post(&stopped);
	while (__atomic_load_n(&collected, __ATOMIC_ACQUIRE) < mine)
		;
}

static void *allocate(void *arg)
{
	pthread_attr_t attributes;
	void *start;
	size_t bytes;

	CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
	CHECK(pthread_attr_getstack(&attributes, &start, &bytes) == 0);
	pthread_attr_destroy(&attributes);
	__atomic_store_n(&top, (uintptr_t)start + bytes, __ATOMIC_RELEASE);
	for (size_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++)
		allocate_once(i % 2000);
	return arg;
}

static void handle(int signal, void (*handler)(int))
{
	struct sigaction a = {.sa_handler = handler, .sa_flags = SA_RESTART};

	sigfillset(&a.sa_mask);
	CHECK(sigaction(signal, &a, NULL) == 0);
}

static void collect(pthread_t thread)
{
	uint64_t sum = 0;

	__atomic_add_fetch(&collection, 1, __ATOMIC_RELAXED);
	CHECK(pthread_kill(thread, SIGPWR) == 0);
	while (sem_wait(&stopped))
		;
	CHECK(seen < top && top - seen < 64 * 1024);
	for (const uint64_t *p = (const uint64_t *)(seen & ~(uintptr_t)7); p < (uint64_t *)top; p++)
		sum += *p;
	__asm__ volatile("" : : "r"(sum));
	__atomic_store_n(&collected, collection, __ATOMIC_RELEASE);
}

int main(void)
{
	struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
	pthread_t thread;

	CHECK(sem_init(&stopped, 0, 0) == 0);
	handle(SIGPWR, stop_for_collector);
	handle(SIGALRM, want_much);
	CHECK(pthread_create(&thread, NULL, allocate, NULL) == 0);
	while (!__atomic_load_n(&top, __ATOMIC_ACQUIRE))
		usleep(100);
	for (int i = 0; i < 2000; i++)
		collect(thread);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);

	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (size_t i = 0; handled < 500; i++)
		allocate_once(i % 2000);
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	return 0;
}
