/* See ownthread.h. */
#include "hook/ownthread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/dynsym.h"
#include "base/libc.h"
#include "base/lock.h"
#include "base/sys.h"
#include "unwind/descriptor.h"
#include "hook/real.h"

#define STACK_BYTES     (256 * KIB)
#define MAX_STACK_BYTES (16 * MIB)
#define SIZE_STEP       64 /* no two sizes are the same, which descriptor_learn needs */

static struct ownthread_stack stacks[OWNTHREAD_MAX];
static size_t stack_count;

/* A stack with a guard page below it; NULL if there is no memory. */
static void *map_stack(size_t bytes)
{
	char *p = sys_map_anonymous(bytes + ARCH_PAGE_MOST);
	if (p == NULL)
		return NULL;
	sys_call(mprotect, p, ARCH_PAGE_MOST, PROT_NONE);
	return p + ARCH_PAGE_MOST;
}

static void keep_stack(const char *stack, size_t bytes)
{
	size_t n = __atomic_fetch_add(&stack_count, 1, __ATOMIC_RELAXED);
	if (n >= OWNTHREAD_MAX)
		return;
	stacks[n].start = (uint64_t)stack - ARCH_PAGE_MOST;
	STORE_REL(&stacks[n].end, (uint64_t)stack + bytes);
}

size_t ownthread_stacks(struct ownthread_stack out[OWNTHREAD_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < OWNTHREAD_MAX; i++)
		if (LOAD_ACQ(&stacks[i].end))
			out[n++] = stacks[i];
	return n;
}

/* The creating thread may have unmasked floating-point exceptions, and our code divides. */
static void *begin(void *run)
{
	arch_reset_floating_point();
	lock_own_thread = true;
	return ((void *(*)(void *))run)(NULL);
}

/* Its thread pointer, which has the same distance from the handle as that of this thread. */
static uint64_t thread_pointer_of(pthread_t thread)
{
	pthread_t (*self)(void) = (pthread_t(*)(void))dynsym_libc("pthread_self");

	return self ? arch_thread_pointer() + (thread - self()) : 0;
}

static int create_on(void *stack, size_t bytes, void *(*run)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;
	int error = libc.pthread_attr_init(&attr);
	if (error != 0)
		return error;
	libc.pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	error = libc.pthread_attr_setstack(&attr, stack, bytes);
	if (error == 0)
		error = real.pthread_create(&thread, &attr, begin, (void *)run);
	if (error == 0) /* glibc's handle of a thread is its descriptor's address */
		descriptor_learn(thread_pointer_of(thread), (uint64_t)stack, bytes);
	libc.pthread_attr_destroy(&attr);
	return error;
}

/*
 * glibc also puts the program's static TLS on the thread's stack, and fails with EINVAL if it
 * does not fit, so larger stacks are tried. Untouched pages cost nothing.
 */
static int create(void *(*run)(void *))
{
	int error = EINVAL;
	for (size_t bytes = STACK_BYTES; error == EINVAL && bytes <= MAX_STACK_BYTES; bytes *= 4) {
		size_t given = bytes + SIZE_STEP * (1 + LOAD(&stack_count));
		size_t mapped = ALIGN_UP(given, PAGE_BYTES);
		char *stack = map_stack(mapped);
		error = stack != NULL ? create_on(stack, given, run) : ENOMEM;
		if (error == 0)
			keep_stack(stack, mapped);
		else if (stack != NULL)
			sys_unmap(stack - ARCH_PAGE_MOST, mapped + ARCH_PAGE_MOST);
	}
	return error;
}

/*
 * A new thread inherits its creator's signal mask. Use pthread_sigmask, not the system call: it
 * leaves out the two signals that glibc needs on every thread; if they were blocked, setuid in
 * the host would wait for this thread forever.
 */
int ownthread_create(void *(*run)(void *))
{
	sigset_t all, before;
	sigfillset(&all);
	libc.pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = create(run);
	libc.pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

void ownthread_forget(void)
{
	for (size_t i = 0; i < OWNTHREAD_MAX; i++)
		if (stacks[i].end)
			sys_unmap((void *)stacks[i].start, stacks[i].end - stacks[i].start);
	memset(stacks, 0, sizeof(stacks));
	stack_count = 0;
}
