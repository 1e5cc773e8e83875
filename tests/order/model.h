/*
 * What a model has in place of the machine and the kernel: it includes this before the sources that
 * it checks, since the checker executes neither assembly nor system calls.
 */
#ifndef CGOHEAP_ORDER_MODEL_H
#define CGOHEAP_ORDER_MODEL_H

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "base/base.h"

#ifndef static_assert /* the checker's assert.h lacks it */
#define static_assert _Static_assert
#endif

/* Executions where it is not so are left out. */
void __VERIFIER_assume(bool is_so) __attribute__((__nothrow__));

/* Runs each function on a thread; returns when all have ended. */
#define model_run(count, ...)                                                                      \
	do {                                                                                       \
		void *(*const functions_[count])(void *) = {__VA_ARGS__};                          \
		pthread_t threads_[count];                                                         \
		for (int i_ = 0; i_ < (count); i_++)                                               \
			pthread_create(&threads_[i_], NULL, functions_[i_], NULL);                 \
		for (int i_ = 0; i_ < (count); i_++)                                               \
			pthread_join(threads_[i_], NULL);                                          \
	} while (0)

/* ---- stands for base/arch.h ----------------------------------------------- */

#define CGOHEAP_ARCH_H
#define ARCH_ADDRESS_BITS                        47
#define ARCH_PAGE_MOST                           PAGE_BYTES
#define ARCH_TLS_SUBTRACT(variable, size, label) goto label
#define ARCH_DEFINE_RUN_ON(name)                 struct regs

struct regs {
	uint64_t ip, sp;
};
static inline void arch_get_regs(struct regs *regs)
{
	*regs = (struct regs){0};
}
static __thread uint64_t model_thread;
static inline uint64_t arch_thread_pointer(void)
{
	return (uint64_t)&model_thread;
}
static inline void arch_ask_valgrind(const uint64_t *request)
{
	(void)request;
}
static inline uint64_t arch_stack_pointer(void)
{
	return 0;
}

/* ---- stands for base/sys.h ------------------------------------------------- */

/* A model where a call waits says so: MODEL_WAITS. */
#define CGOHEAP_SYS_H
static inline long sys_call_result(void)
{
#ifdef MODEL_WAITS
	__VERIFIER_assume(false);
#endif
	return 0;
}
#define sys_call(...) sys_call_result()
static inline void *sys_map_anonymous(size_t bytes)
{
	(void)bytes;
	return NULL;
}
static inline void sys_unmap(void *start, size_t bytes)
{
	(void)start, (void)bytes;
}

/* ---- stands for lock.c ----------------------------------------------------- */

#include "base/lock.h"

void lock_wait(struct lock *l)
{
	__VERIFIER_assume(lock_try(l) == 0);
}
void lock_wake(struct lock *l)
{
	(void)l;
}

#endif
