/*
 * Handlers that allocate under glibc. The host does this only if the interrupted code was
 * outside malloc: on the thread's stack, on a small alternate stack, and with a jump out of the
 * handler.
 */
#include <setjmp.h>
#include <sys/time.h>

#include "life.h"

static volatile sig_atomic_t in_malloc, handled, jumped;
static sigjmp_buf back;
static volatile sig_atomic_t may_jump;

static void handler(int signal)
{
	(void)signal;
	if (in_malloc)
		return;
	in_malloc = 1;
	void *p = malloc(7919);
	p = realloc(p, 7907);
	free(p);
	in_malloc = 0;
	handled++;
	if (may_jump) {
		may_jump = 0;
		jumped++;
		siglongjmp(back, 1);
	}
}

static void arm(long us)
{
	struct itimerval t = {.it_interval.tv_usec = us, .it_value.tv_usec = us};
	CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void run(int flags, int until, int jumps_until)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_RESTART};
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	arm(100);
	sigsetjmp(back, 1);
	while (handled < until || jumped < jumps_until) {
		in_malloc = 1;
		void *p = malloc(7001);
		free(p);
		in_malloc = 0;
		for (volatile int i = 0; i < 200; i++)
			may_jump = jumped < jumps_until;
		may_jump = 0;
	}
	arm(0);
}

int main(void)
{
	static char small[16384] __attribute__((aligned(16)));
	stack_t stack = {.ss_sp = small, .ss_size = sizeof(small)};
	CHECK(sigaltstack(&stack, NULL) == 0);
	run(0, 2000, 0);
	run(SA_ONSTACK, 4000, 0);
	run(SA_ONSTACK, 5000, 200);
	EXPECT(7919, handled, 0);
	EXPECT(7907, handled, 0);
	CHECK(hooks_figures_of(7001).live == 0);
	CHECK(hooks_status("reentered") == 0);
	return 0;
}
