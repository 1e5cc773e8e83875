/*
 * state.h: whoever sees the state finds what it needs.
 *
 * break shim/base/state.h s/LOAD_ACQ(/LOAD(/
 * break shim/base/state.h s/STORE_REL(/STORE(/
 */
#include "model.h"

#include "base/state.h"

int shim_state = SHIM_PASSIVE;
static int region;

static void *starts_late(void *unused)
{
	STORE(&region, 1);
	shim_state_set(SHIM_ACTIVE);
	return unused;
}

static void *hook(void *unused)
{
	if (shim_state_now() == SHIM_ACTIVE)
		assert(LOAD(&region));
	return unused;
}

int main(void)
{
	model_run(2, starts_late, hook);
	return 0;
}
