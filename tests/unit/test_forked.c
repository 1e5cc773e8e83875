/* Children of fork, _Fork and clone.  Each child's exit status says what it saw. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/forked.h"

static int calls;

static void in_child(void)
{
	calls++;
}

static int exit_of(pid_t child)
{
	int status = -1;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int look_three_times(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		forked_look();
	return calls;
}

static void test_the_maker_is_no_child(void **state)
{
	(void)state;
	assert_int_equal(look_three_times(NULL), 0);
}

static void test_a_raw_clone_is_noticed_once(void **state)
{
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	(void)state;
	if (child == 0)
		_exit(look_three_times(NULL));
	assert_int_equal(exit_of(child), 1);
}

/* A child of a child is not reported again. */
static void test_a_grandchild_is_not_told_again(void **state)
{
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	(void)state;
	if (child == 0) {
		look_three_times(NULL);
		child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		if (child == 0)
			_exit(look_three_times(NULL));
		_exit(exit_of(child));
	}
	assert_int_equal(exit_of(child), 1);
}

static void test_who_shares_our_memory_is_not_one(void **state)
{
	static _Alignas(16) char stack[65536];

	(void)state;
	assert_int_equal(exit_of(clone(look_three_times, stack + sizeof(stack),
				       CLONE_VM | CLONE_VFORK | SIGCHLD, NULL)),
			 0);
	assert_int_equal(calls, 0);
}

static int setup(void **state)
{
	(void)state;
	forked_look(); /* before forked_watch */
	forked_watch(in_child);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_maker_is_no_child),
		cmocka_unit_test(test_a_raw_clone_is_noticed_once),
		cmocka_unit_test(test_a_grandchild_is_not_told_again),
		cmocka_unit_test(test_who_shares_our_memory_is_not_one),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
