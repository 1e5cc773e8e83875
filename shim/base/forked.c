/* See forked.h. */
#include "base/forked.h"

#include <sys/mman.h>

#include "base/sys.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct forked forked_page __attribute__((visibility("hidden"), aligned(ARCH_PAGE_MOST)));

static void (*call_in_child)(void);

void forked_watch(void (*in_child)(void))
{
	STORE(&forked_page.is_parent, 1);
	STORE_REL(&call_in_child, in_child);
	sys_call(madvise, &forked_page, sizeof(forked_page), MADV_WIPEONFORK);
}

void forked_noticed(void)
{
	void (*in_child)(void) = __atomic_exchange_n(&call_in_child, NULL, __ATOMIC_RELAXED);

	if (!in_child)
		return;
	in_child();
	STORE(&forked_page.is_parent, 1); /* do not report again */
}

/*
 * The 0 that led here may be from before another thread called forked_watch. Whoever sees the
 * function sees what was stored before it, so a 0 that is read now is a child's.
 */
void forked_check(void)
{
	if (LOAD_ACQ(&call_in_child) && forked_is_child())
		forked_noticed();
}
