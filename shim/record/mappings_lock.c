/*
 * See mappings_lock.h. Also the counters and fork functions of mappings.h.
 */
#include "record/mappings_lock.h"

#include "base/lock.h"
#include "record/mappings.h"

static struct lock lock;
static struct mappings_counters counters;

/* This thread holds the lock or waits for it, so a signal handler on it must do neither. */
static __thread uint8_t inside __attribute__((tls_model("initial-exec")));

void mappings_leave(void)
{
	lock_release(&lock);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	STORE(&inside, 0);
}

int mappings_enter(void)
{
	if (LOAD(&inside)) {
		ADD(&counters.interrupted, 1);
		return -1;
	}
	STORE(&inside, 1);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	lock_take(&lock);
	if (mappings_tree_begin() == 0)
		return 0;
	mappings_leave();
	return -1;
}

struct mappings_counters mappings_counters(void)
{
	return (struct mappings_counters){.ranges = region ? LOAD(&mappings_head()->count) : 0,
					  .refused = region ? LOAD(&mappings_head()->refused) : 0,
					  .interrupted = LOAD(&counters.interrupted),
					  .uncaptured = LOAD(&counters.uncaptured)};
}

void mappings_count_uncaptured(void)
{
	ADD(&counters.uncaptured, 1);
}

void mappings_after_fork_in_child(void)
{
	lock = (struct lock){0};
	inside = 0;
}

int mappings_before_fork(void)
{
	return mappings_enter();
}

void mappings_after_fork(void)
{
	mappings_leave();
}

void mappings_fork_abandoned(void)
{
	STORE(&inside, 0);
}
