/*
 * forked.h: a hook on another thread, while Go comes to a process, does not take it for a child.
 *
 * break shim/base/forked.c s/STORE_REL(&call_in_child/STORE(\&call_in_child/
 * break shim/base/forked.c s/LOAD_ACQ(&call_in_child)/LOAD(\&call_in_child)/
 * break shim/base/forked.c s/ && forked_is_child()//
 */
#include "model.h"

#include "base/forked.c"

static void in_child(void)
{
	assert(false);
}

static void *starts_late(void *unused)
{
	forked_watch(in_child);
	return unused;
}

static void *hook(void *unused)
{
	forked_look();
	return unused;
}

int main(void)
{
	model_run(3, starts_late, hook, hook);
	return 0;
}
