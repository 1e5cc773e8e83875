/*
 * lock.h: what a holder did is there for the next one, also where the next one is a thread that
 * was about to sleep (sleep_behind in lock.c).
 *
 * break shim/base/lock.h s/STORE_REL(&l->state, 0)/STORE(\&l->state, 0)/
 * break shim/base/lock.h s/false, __ATOMIC_ACQUIRE,/false, __ATOMIC_RELAXED,/
 */
#include "model.h"

#include "base/lock.h"

static struct lock lock;
static int held;

static void *takes(void *unused)
{
	lock_take(&lock);
	held++;
	lock_release(&lock);
	return unused;
}

static void *was_about_to_sleep(void *unused)
{
	__VERIFIER_assume(__atomic_exchange_n(&lock.state, 2, __ATOMIC_ACQUIRE) == 0);
	held++;
	lock_release(&lock);
	return unused;
}

int main(void)
{
	model_run(3, takes, takes, was_about_to_sleep);
	assert(held == 3);
	return 0;
}
