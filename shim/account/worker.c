/* See worker.h. */
#include "account/worker.h"

#include <linux/futex.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/work.h"
#include "record/control.h"
#include "record/sample.h"
#include "hook/ownthread.h"

enum { ABSENT, IDLE, BUSY };

/* call and arg belong to whoever set the state last: the worker while it is BUSY. */
static struct {
	uint32_t state;
	void (*call)(void *arg);
	void *arg;
} worker;

static long wait_while(uint32_t state, const struct timespec *timeout)
{
	return sys_call(futex, &worker.state, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, state, timeout);
}

static void set_state(uint32_t state)
{
	STORE_REL(&worker.state, state);
	sys_call(futex, &worker.state, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX);
}

static void *run(void *unused)
{
	sample_enter_as(BUSY_OWN); /* for good: the allocator's calls here are not the host's */
	sys_call(prctl, PR_SET_NAME, "cgoheap-alloc", 0);
	for (;;) {
		while (LOAD_ACQ(&worker.state) != BUSY)
			wait_while(IDLE, NULL);
		worker.call(worker.arg);
		set_state(IDLE);
	}
	return unused;
}

int worker_start(void)
{
	if (LOAD(&worker.state) != ABSENT)
		return 0;
	STORE(&worker.state, IDLE);
	int error = ownthread_create(run);
	if (error != 0)
		STORE(&worker.state, ABSENT);
	return error;
}

int worker_begin(void (*call)(void *arg), void *arg)
{
	if (LOAD_ACQ(&worker.state) != IDLE)
		return -1;
	worker.call = call;
	worker.arg = arg;
	set_state(BUSY);
	return 0;
}

/* Returns -1 if not finished by then. */
static int wait_until(uint64_t end_ns)
{
	while (LOAD_ACQ(&worker.state) == BUSY) {
		uint64_t now_ns = clock_monotonic_ns();
		if (now_ns >= end_ns)
			return -1;
		uint64_t wait_ns = control_tick(); /* must not wait for the allocator */
		wait_ns = wait_ns < end_ns - now_ns ? wait_ns : end_ns - now_ns;
		struct timespec left = {.tv_sec = (time_t)(wait_ns / 1000000000u),
					.tv_nsec = (long)(wait_ns % 1000000000u)};
		wait_while(BUSY, &left);
	}
	return 0;
}

int worker_run(void (*call)(void *arg), void *arg, uint64_t timeout_ns)
{
	uint64_t begun_ns = clock_monotonic_ns(), most_ns = work_wait_left(timeout_ns);
	if (most_ns == 0 || worker_begin(call, arg) != 0)
		return -1;
	int result = wait_until(begun_ns + most_ns);
	work_waited(clock_monotonic_ns() - begun_ns);
	return result;
}

bool worker_is_busy(void)
{
	return LOAD_ACQ(&worker.state) == BUSY;
}

void worker_after_fork_in_child(void)
{
	STORE(&worker.state, ABSENT);
}
