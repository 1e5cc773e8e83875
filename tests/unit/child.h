/*
 * Runs a case in a child process: for state that exists once per process (the region,
 * the real table) and for state that must not leak into the next case.
 */
#ifndef CGOHEAP_TESTS_CHILD_H
#define CGOHEAP_TESTS_CHILD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* For the child, where cmocka's assertions would jump into the parent's test. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static inline void run_in_child(void (*f)(void))
{
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		f();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* CASE(f): a cmocka test that runs f in a child. */
#define CASE(f)                                                                                    \
	static void test_##f(void **state)                                                         \
	{                                                                                          \
		(void)state;                                                                       \
		run_in_child(f);                                                                   \
	}

/* A case about the heap's or the stack's own layout, which AddressSanitizer replaces. */
#ifdef __SANITIZE_ADDRESS__
#define CASE_WITHOUT_ASAN(f)                                                                       \
	static void test_##f(void **state)                                                         \
	{                                                                                          \
		(void)state, (void)f;                                                              \
		skip();                                                                            \
	}
#else
#define CASE_WITHOUT_ASAN(f) CASE(f)
#endif

#endif
