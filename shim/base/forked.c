/* See forked.h. */
#include "base/forked.h"

#include <sys/mman.h>

#include "base/sys.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct forked forked_page __attribute__((visibility("hidden"), aligned(PAGE_BYTES)));

static void (*call_in_child)(void);

void forked_watch(void (*in_child)(void))
{
	forked_page.is_parent = 1;
	STORE(&call_in_child, in_child);
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
