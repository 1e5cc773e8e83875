/*
 * Coroutines with little stack left: in malloc's memory, with another block below; above a guard
 * page, with readable memory below that; and where another stack was before. A thread that
 * allocates, from code without unwind information, above memory that other threads keep
 * unmapping. And from such code, a coroutine in an array on the thread's stack, between two
 * guards.
 */
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "life.h"

#define LEFT  768 /* the library's 256 bytes, and what libc's malloc needs */
#define BYTES 8192

static ucontext_t home, co;
static char *low; /* end of the coroutine's stack */
static size_t left;

static __attribute__((noinline)) void work(void)
{
	void *volatile p = malloc(7027);

	p = realloc(p, 7039);
	free(p);
	__asm__ volatile("" ::: "memory");
}

/* Its CFA is a DWARF expression. */
static __attribute__((noinline)) void work_realigned(void)
{
	_Alignas(64) volatile char room[64];

	room[0] = 1;
	work();
	room[1] = room[0];
}

static void entry(void)
{
	char here;
	volatile char *p = __builtin_alloca((size_t)(&here - low) - left);

	p[0] = 1;
	work_realigned();
}

static void run_on(char *stack, size_t bytes, size_t leaves)
{
	low = stack;
	left = leaves;
	getcontext(&co);
	co.uc_stack.ss_sp = stack;
	co.uc_stack.ss_size = bytes;
	co.uc_link = &home;
	makecontext(&co, entry, 0);
	swapcontext(&home, &co);
}

static void in_mallocs_memory(void)
{
	char *all = malloc(8 * BYTES), *data = all, *stack = all + 4 * BYTES;

	memset(data, 0x5a, 4 * BYTES);
	for (size_t leaves = LEFT; leaves < BYTES / 2; leaves += 256)
		run_on(stack, BYTES, leaves);
	for (size_t i = 0; i < 4 * BYTES; i++)
		CHECK(data[i] == 0x5a);
	free(all);
}

static char *map(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void above_a_guard(void)
{
	char *all = map(8 * BYTES), *stack = all + 4 * BYTES;

	CHECK(mprotect(stack - 4096, 4096, PROT_NONE) == 0);
	for (size_t leaves = LEFT; leaves < BYTES / 2; leaves += 256)
		run_on(stack, 4 * BYTES, leaves);
	munmap(all, 8 * BYTES);
}

static void where_another_was(void)
{
	char *all = map(8 * BYTES);

	for (size_t leaves = 7 * BYTES; leaves > BYTES; leaves -= 4096)
		run_on(all, 8 * BYTES, leaves);
	CHECK(mprotect(all + 4 * BYTES - 4096, 4096, PROT_NONE) == 0);
	run_on(all + 4 * BYTES, 4 * BYTES, LEFT);
	munmap(all, 8 * BYTES);
}

/* void without_cfi(void (*f)(void)) */
void without_cfi(void (*f)(void));
__asm__(".text\n"
	"without_cfi:\n"
	"sub $24, %rsp\n"
	"call *%rdi\n"
	"add $24, %rsp\n"
	"ret\n");

static int stop;

static void *allocate(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		without_cfi(work);
	return arg;
}

/* The kernel places the thread's stack directly below the buffer. */
static void below_what_goes(void)
{
	size_t bytes = 64 * 1024;
	char *buffer = map(bytes);
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, allocate, NULL) == 0);
	for (int i = 0; i < 20000; i++) {
		munmap(buffer, bytes);
		buffer = mmap(buffer, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
		CHECK(buffer != MAP_FAILED);
		buffer[0] = 1;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static void entry_without_cfi(void)
{
	for (int i = 0; i < 10; i++)
		without_cfi(work);
}

static void *between_guards(void *arg)
{
	char array[8 * BYTES], *stack = array + 4096 - (uintptr_t)array % 4096;
	size_t bytes = 6 * BYTES;

	CHECK(mprotect(stack, 4096, PROT_NONE) == 0);
	CHECK(mprotect(stack + bytes, 4096, PROT_NONE) == 0);
	getcontext(&co);
	co.uc_stack.ss_sp = stack + 4096;
	co.uc_stack.ss_size = bytes - 4096;
	co.uc_link = &home;
	makecontext(&co, entry_without_cfi, 0);
	swapcontext(&home, &co);
	CHECK(mprotect(stack, 4096, PROT_READ | PROT_WRITE) == 0);
	CHECK(mprotect(stack + bytes, 4096, PROT_READ | PROT_WRITE) == 0);
	return arg;
}

static void on_a_thread(void *(*work)(void *))
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
	pthread_join(thread, NULL);
}

int main(void)
{
	free(malloc(1));
	in_mallocs_memory();
	above_a_guard();
	where_another_was();
	below_what_goes();
	on_a_thread(between_guards);
	between_guards(NULL);
	return 0;
}
