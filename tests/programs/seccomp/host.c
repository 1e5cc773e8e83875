/*
 * A program that calls everything the hooks see, enters a filter where told to, and exits with 7
 * when its standard input ends.
 *
 *	host                         no filter
 *	host LIST ACTION all|one     enters the filter once it runs: all threads, or its first
 *	host LIST ACTION threads     so do threads, before they first allocate
 *	host LIST ACTION coroutine   so does a thread on a stack that only it knows
 *
 * If the filter is not for all threads, those that entered it only allocate.
 */
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "sandbox.h"

static char *kept[1000];

static void allocate(int times)
{
	for (int i = 0; i < times; i++) {
		char **slot = &kept[i % 1000];
		free(*slot);
		*slot = malloc(100 + (size_t)i % 4000);
		memset(*slot, 1, 100);
		*slot = realloc(*slot, 200);
		free(calloc(3, 50));
		free(memalign(64, 100));
	}
}

static void *thread(void *unused)
{
	for (int i = 0; i < 3000; i++)
		free(malloc(1000));
	return unused;
}

static void map(void)
{
	size_t n = 1 << 20;
	char *p = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(p, n, PROT_READ | PROT_WRITE);
	memset(p, 1, n);
	madvise(p, n, MADV_DONTNEED);
	p = mremap(p, n, 2 * n, MREMAP_MAYMOVE);
	munmap(p, 2 * n);
}

static void work(void)
{
	pthread_t t[4];
	allocate(5000);
	map();
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, thread, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	pid_t child = fork();
	if (child == 0) {
		allocate(1000);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* One after the other at first, so that libc need not wait for itself. */
static struct sandbox filter;
static int turn, over;

static void *locked_in(void *number)
{
	int own = (int)(long)number;
	if (sandbox_enter(&filter, 0) != 0)
		_exit(3);
	free(malloc(1000));
	__atomic_store_n(&turn, own + 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 5000; i++)
		free(malloc(1000 + (size_t)i % 100));
	__atomic_add_fetch(&over, 1, __ATOMIC_ACQ_REL);
	syscall(SYS_exit, 0);
	return NULL;
}

static void lock_threads_in(void)
{
	pthread_t t;
	for (long i = 0; i < 4; i++) {
		pthread_create(&t, NULL, locked_in, (void *)i);
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != i + 1)
			usleep(1000);
	}
	while (__atomic_load_n(&over, __ATOMIC_ACQUIRE) != 4)
		usleep(1000);
}

/* Frames that cover more than the page on which malloc is called. */
static __attribute__((noinline)) void allocate_below(int frames)
{
	volatile char room[1000];

	room[0] = (char)frames;
	if (frames > 0) {
		allocate_below(frames - 1);
		room[1] = room[0];
		return;
	}
	for (int i = 0; i < 400; i++)
		free(malloc((size_t)100 << 10));
}

static void coroutine(void)
{
	if (sandbox_enter(&filter, 0) != 0)
		_exit(3);
	allocate_below(10);
	__atomic_add_fetch(&over, 1, __ATOMIC_ACQ_REL);
	syscall(SYS_exit, 0);
}

static void *enter_coroutine(void *unused)
{
	ucontext_t context;
	size_t bytes = 256 << 10;

	getcontext(&context);
	context.uc_stack.ss_sp = malloc(bytes);
	context.uc_stack.ss_size = bytes;
	context.uc_link = NULL;
	makecontext(&context, coroutine, 0);
	setcontext(&context);
	return unused;
}

static void lock_coroutine_in(void)
{
	pthread_t t;

	pthread_create(&t, NULL, enter_coroutine, NULL);
	while (__atomic_load_n(&over, __ATOMIC_ACQUIRE) != 1)
		usleep(1000);
}

static void say(const char *word)
{
	if (write(1, word, strlen(word)) < 0)
		_exit(8);
}

int main(int argc, char **argv)
{
	int is_locked = argc == 4 && strcmp(argv[3], "one") == 0;
	char c;
	if (argc == 4 && sandbox_read(&filter, argv[1], argv[2]) != 0)
		return 2;
	work();
	if (argc == 4 && strcmp(argv[3], "threads") == 0)
		lock_threads_in();
	else if (argc == 4 && strcmp(argv[3], "coroutine") == 0)
		lock_coroutine_in();
	else if (argc == 4 &&
		 sandbox_enter(&filter, is_locked ? 0 : SECCOMP_FILTER_FLAG_TSYNC) != 0)
		return 3;
	say("ready\n");
	while (read(0, &c, 1) == 1)
		if (is_locked)
			allocate(3000);
		else
			work();
	say("done\n");
	_exit(7);
}
