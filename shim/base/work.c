/* See work.h. */
#include "base/work.h"

#include "base/clock.h"
#include "base/sys.h"

#define ASK_EVERY_NS 1000000u
#define CHEAP_NS     UINT64_C(5000000)
#define REST_FACTOR  100

static __thread struct {
	uint64_t start_ns, budget_ns; /* 0: no budget */
	uint64_t now_ns;              /* the clock's last reading */
	uint64_t since_ns;            /* estimated cost since then */
	uint64_t waited_ns;
	bool was_cut;
} work __attribute__((tls_model("initial-exec")));

/* A raw system call, because a preload's clock (libfaketime's) stops or jumps.  If the call
 * fails, the estimate is used. */
uint64_t work_cpu_ns(void)
{
	struct timespec t;
	if (sys_failed(sys_call(clock_gettime, CLOCK_THREAD_CPUTIME_ID, &t)))
		return work.now_ns + work.since_ns;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void work_begin(uint64_t budget_ns)
{
	work.since_ns = 0;
	work.start_ns = work.now_ns = work_cpu_ns();
	work.budget_ns = budget_ns;
	work.waited_ns = 0;
	work.was_cut = false;
}

void work_end(void)
{
	work.budget_ns = 0;
}

static bool is_within(uint64_t budget_ns, uint32_t cost_ns)
{
	if (budget_ns == 0)
		return true;
	work.since_ns += cost_ns;
	if (work.since_ns >= ASK_EVERY_NS) {
		work.now_ns = work_cpu_ns();
		work.since_ns = 0;
	}
	if (work.now_ns - work.start_ns < budget_ns)
		return true;
	work.was_cut = true;
	return false;
}

bool work_may_go_on(uint32_t cost_ns)
{
	return is_within(work.budget_ns, cost_ns);
}

bool work_may_go_on_first_half(uint32_t cost_ns)
{
	return is_within(work.budget_ns / 2, cost_ns);
}

uint64_t work_wait_left(uint64_t ns)
{
	uint64_t left = work.waited_ns < work.budget_ns ? work.budget_ns - work.waited_ns : 0;
	return work.budget_ns != 0 && left < ns ? left : ns;
}

void work_waited(uint64_t ns)
{
	work.waited_ns += ns;
}

bool work_was_cut(void)
{
	return work.was_cut;
}

/* ---- rests -------------------------------------------------------------- */

bool work_is_resting(const struct work_rest *rest)
{
	return clock_ns(CLOCK_MONOTONIC) < LOAD(&rest->until_ns);
}

void work_rest_after(struct work_rest *rest, uint64_t cpu_ns)
{
	if (cpu_ns > CHEAP_NS)
		STORE(&rest->until_ns, clock_ns(CLOCK_MONOTONIC) + REST_FACTOR * cpu_ns);
}

void work_rest_end(struct work_rest *rest)
{
	STORE(&rest->until_ns, 0);
}
