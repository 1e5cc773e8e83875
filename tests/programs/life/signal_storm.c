/*
 * A handler that allocates at any moment: in the program, in the hooks, in the shim's slow path
 * while it holds a lock. glibc's malloc would not survive that, so the allocator behind the shim
 * (lib_signal_safe.c) is one that does: if something breaks here, it is the shim.
 */
#include <sys/mman.h>
#include <sys/time.h>

#include "life.h"

#define ROUNDS 200000

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	int before = errno;
	(void)signal;
	void *p = malloc(7919);
	free(realloc(p, 7907));
	handled++;
	errno = before;
}

static void arm(long us)
{
	struct itimerval t = {.it_interval.tv_usec = us, .it_value.tv_usec = us};
	CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

int main(void)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	void *library_check = malloc(7901);
	EXPECT(7901, 1, 1); /* the server's thread exists, with every signal blocked */
	arm(60);
	for (int i = 0; i < ROUNDS; i++) {
		void *p = malloc(7001);
		p = realloc(p, 7003);
		if (i % 64 == 0) {
			void *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK(m != MAP_FAILED && munmap(m, 4096) == 0);
		}
		free(p);
	}
	while (handled < 1000)
		free(malloc(7013));
	arm(0);
	free(library_check);
	/* All of the program's calls are recorded; the handler's are recorded or counted as
	 * missed. */
	EXPECT(7001, ROUNDS, 0);
	EXPECT(7003, ROUNDS, 0);
	struct hooks_figures h = hooks_figures_of(7919);
	CHECK(h.live == 0 && h.allocs > 0 && h.allocs <= handled);
	CHECK(hooks_figures_of(7907).live == 0);
	if (h.allocs < handled)
		CHECK(hooks_status("reentered") > 0);
	CHECK(hooks_status("stale") == 0);
	return 0;
}
