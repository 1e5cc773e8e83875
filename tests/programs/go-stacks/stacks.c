#include "stacks.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "_cgo_export.h"

#define NOINLINE __attribute__((noinline, noclone))

static volatile int sink;

/* A lot of C's thread-local storage, so that Go's is far from the thread pointer. */
static __thread volatile char thread_room[16384];

NOINLINE void *st_leaf(size_t n)
{
	oracle_note(n);
	void *p = malloc(n);
	sink++;
	return p;
}

NOINLINE void *st_nested(size_t n, int level)
{
	oracle_note(n);
	void *p = goNested(n, level);
	sink++;
	return p;
}

NOINLINE void *st_after_growth(size_t n, int depth)
{
	goGrow(depth);
	oracle_note(n);
	void *p = malloc(n);
	sink++;
	return p;
}

struct job {
	size_t n;
	void *p;
};

NOINLINE static void *st_thread_main(void *arg)
{
	struct job *job = arg;

	job->p = st_leaf(job->n);
	thread_room[job->n % sizeof(thread_room)] = 1;
	sink++;
	return NULL;
}

NOINLINE static void *st_thread_to_go(void *arg)
{
	struct job *job = arg;

	oracle_note(job->n);
	job->p = goOnThread(job->n);
	sink++;
	return NULL;
}

static void *run_thread(void *(*start)(void *), size_t n)
{
	struct job job = {n, NULL};
	pthread_t id;

	if (pthread_create(&id, NULL, start, &job))
		return NULL;
	pthread_join(id, NULL);
	return job.p;
}

void *st_on_thread(size_t n)
{
	return run_thread(st_thread_main, n);
}

void *st_through_thread(size_t n)
{
	return run_thread(st_thread_to_go, n);
}

static volatile size_t signal_size;
static void *volatile signal_block;

NOINLINE static void st_handler(int signo)
{
	(void)signo;
	signal_block = st_leaf(signal_size);
	sink++;
}

NOINLINE static void st_free_handler(int signo)
{
	(void)signo;
	free(NULL);
	sink++;
}

static void handle(int signo, void (*handler)(int))
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = SA_ONSTACK | SA_RESTART;
	sigaction(signo, &action, NULL);
}

NOINLINE void *st_in_signal(size_t n)
{
	signal_size = n;
	handle(SIGUSR1, st_handler);
	raise(SIGUSR1);
	sink++;
	return signal_block;
}

/*
 * A handler may not call glibc's malloc if it may have interrupted it, so the handler of the
 * asynchronous signals enters the hooks only by free(NULL).
 */
long st_signal_storm(int rounds)
{
	struct sigevent event;
	struct itimerspec often = {{0, 50000}, {0, 50000}};
	timer_t timer;
	long done = 0;

	handle(SIGUSR2, st_free_handler);
	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGUSR2;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		return -1;
	timer_settime(timer, 0, &often, NULL);
	for (int i = 0; i < rounds; i++) {
		void *p = malloc((size_t)(i % 1000) + 1);
		done += p != NULL;
		free(p);
	}
	timer_delete(timer);
	return done;
}
