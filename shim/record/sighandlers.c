/* See sighandlers.h. */
#include "record/sighandlers.h"

#include <signal.h>

#include "base/clock.h"
#include "base/sys.h"
#include "region/recstack.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "unwind/saferead.h"

/* In the kernel's layout (asm/signal.h), the same on all processors that are supported. */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

#define LAST_SIGNAL 64

/* Signals that only our own code could raise, and libc's two, whose handlers use little stack. */
static bool is_passed_over(int signal)
{
	switch (signal) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
	case SIGSYS:
	case SIGABRT:
	case 32: /* SIGCANCEL */
	case 33: /* SIGSETXID */
		return true;
	default:
		return false;
	}
}

static bool stays_on_stack(int signal)
{
	struct kernel_sigaction a = {0};

	if (sys_failed(sys_rare(rt_sigaction, signal, NULL, &a, sizeof(a.mask))))
		return false;
	if (a.handler == (uint64_t)SIG_DFL || a.handler == (uint64_t)SIG_IGN)
		return false;
	if (!(a.flags & SA_ONSTACK))
		return true;
	/* All handlers of a Go program have it, also on threads without an alternate stack. */
	return gomodules_are_program() && !gosym_in_text(a.handler);
}

void sighandlers_look(void)
{
	bool found = false;

	for (int signal = 1; signal <= LAST_SIGNAL && !found; signal++)
		found = !is_passed_over(signal) && stays_on_stack(signal);
	recstack_stay(found ? saferead_stack_room : NULL);
}

/* Per tick of the coarse clock, which is 4 to 10 ms. */
#define LOOKS_A_TICK 16

void sighandlers_look_at_thread(void)
{
	static uint64_t tick_ns;
	static uint32_t looks;
	uint64_t now_ns = clock_coarse_ns();

	if (__atomic_exchange_n(&tick_ns, now_ns, __ATOMIC_RELAXED) != now_ns)
		STORE(&looks, 0);
	if (ADD(&looks, 1) < LOOKS_A_TICK)
		sighandlers_look();
}
