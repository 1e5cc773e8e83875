/*
 * pins.h: what was removed from a table is freed when no hook uses it, whether the hook keeps its
 * recording stack and pins again, gives it to another thread, or has none. (The checker does not
 * know atomic accesses to thread-local pointers.)
 *
 * with shim/region/recstack.h s/RECSTACK_COUNT 128/RECSTACK_COUNT 1/
 * with shim/region/recstack.c s/STORE(&recstack_own, \(.*\));/recstack_own = \1;/
 * with shim/region/recstack.c s/LOAD(&recstack_own)/recstack_own/
 * break shim/record/pins.h s/STORE_REL(&recstack_own->pinned/STORE(\&recstack_own->pinned/
 * break shim/record/pins.h s/LOAD_ACQ(&pins_graces)/LOAD(\&pins_graces)/
 * break shim/record/pins.c s/LOAD_ACQ(&own->pinned)/LOAD(\&own->pinned)/
 * break shim/record/pins.c /&own->thread, 0/s/ACQ_REL/RELAXED/
 * break shim/record/pins.c /&pins_graces, 1/s/RELEASE/RELAXED/
 * break shim/record/pins.c /fetch_add(&counts.side., 1/s/ACQ_REL/RELAXED/
 * break shim/record/pins.c /fetch_add(&counts.side., 0/s/ACQ_REL/RELAXED/
 * break shim/record/pins.c /fetch_sub(&counts.side., 1/s/ACQ_REL/RELAXED/
 * break shim/region/recstack.c s/STORE_REL(&owners.at..thread, 0)/STORE(\&owners[at].thread, 0)/
 * break shim/region/recstack.c s/ACQUIRE, __ATOMIC_RELAXED/RELAXED, 0/
 */
#include "model.h"

/* Of sample.h, pins.h needs this. */
#define CGOHEAP_SAMPLE_H
static __thread struct {
	uint8_t pins;
} * self;
#define sample_self (*self)

#include "region/recstack.c"
#include "record/pins.c"

void run_on(void *top, recstack_work *work, void *arg)
{
	(void)top;
	work(arg, NULL);
}

static uint32_t is_there = 1, is_in_use;

#ifndef MODEL_FINDS
static uint32_t is_listed = 1;
#define MODEL_FINDS()     LOAD(&is_listed)
#define MODEL_TAKES_OUT() STORE(&is_listed, 0)
#endif

/* Returns whether it met what was freed; nothing that follows depends on that. */
static bool use(void)
{
	uint32_t pin = pins_enter();
	bool is_found = MODEL_FINDS(), is_freed = is_found & !LOAD(&is_there);

	if (is_found)
		STORE(&is_in_use, 1);
	pins_leave(pin);
	return is_freed;
}

static void use_twice(void *is_freed, const struct regs *host)
{
	(void)host;
	*(bool *)is_freed = use() | use();
}

static void *hook(void *unused)
{
	__typeof__(*self) own = {0};
	bool is_freed = false;

	self = &own;
	__VERIFIER_assume(recstack_run(use_twice, &is_freed));
	assert(!is_freed);
	return unused;
}

static void *hook_without_stack(void *unused)
{
	__typeof__(*self) own = {0};

	self = &own;
	assert(!use());
	return unused;
}

/* As for stacks: what is in use after all goes back. */
static void *reclaims(void *unused)
{
	struct grace grace = {0};

	MODEL_TAKES_OUT();
	if (pins_poll(&grace) && !LOAD(&is_in_use))
		STORE(&is_there, 0);
	return unused;
}

int main(void)
{
	stacks = (struct recstack *)(uintptr_t)PAGE_BYTES;
	model_run(3, hook, hook_without_stack, reclaims);
	assert(is_there || !is_in_use);
	return 0;
}
