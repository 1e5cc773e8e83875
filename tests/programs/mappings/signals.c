/*
 * Handlers that map: one started by a fault, as for write barriers and guard pages of language
 * runtimes, and one started by a timer anywhere, also inside the shim. Nothing hangs, and the
 * program's own mappings are exact.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "mappings.h"

static char *guarded;
static volatile sig_atomic_t faults, alarms;

static NOINLINE void open_page(void *address)
{
	CHECK(mprotect((void *)((uintptr_t)address & ~(PAGE - 1)), PAGE, RW) == 0);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	faults++;
	open_page(info->si_addr);
}

static NOINLINE void map_in_handler(void)
{
	void *p = mmap(NULL, PAGE, RW, ANON, -1, 0);
	CHECK(p != MAP_FAILED && munmap(p, PAGE) == 0);
}

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
	map_in_handler();
}

static NOINLINE void *map_here(size_t n)
{
	void *p = mmap(NULL, n, RW, ANON, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

int main(void)
{
	static char alternate[16384]; /* small, as in language runtimes */
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction tick = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct itimerval every = {.it_interval.tv_usec = 200, .it_value.tv_usec = 200};

	CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGSEGV, &fault, NULL) == 0);
	guarded = mmap(NULL, 64 * PAGE, PROT_NONE, ANON, -1, 0);
	CHECK(guarded != MAP_FAILED);
	for (size_t i = 0; i < 64; i += 2)
		guarded[i * PAGE] = 1;
	CHECK(faults == 32);
	IN_USE("mmap", "open_page", 32, 32 * PAGE);

	CHECK(sigaction(SIGALRM, &tick, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
	while (alarms < 2000) {
		char *p = map_here(8 * PAGE);
		void *q = malloc(100);
		CHECK(munmap(p + 2 * PAGE, PAGE) == 0);
		free(q);
		CHECK(munmap(p, 8 * PAGE) == 0);
	}
	every = (struct itimerval){0};
	CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
	IN_USE("mmap", "map_here", 0, 0);
	CHECK(mappings_of("mmap", "map_here").allocs > 0);
	return 0;
}
