#ifndef CGOHEAP_CAPTURE_END_H
#define CGOHEAP_CAPTURE_END_H

#include "base/base.h"

/* How a stack ended.  Names for the status page: capture_end_name. */
enum capture_end {
	CAPTURE_COMPLETE_GO,     /* runtime.goexit, runtime.main, mstart or rt0_go */
	CAPTURE_COMPLETE_THREAD, /* a C thread's start routine, or _start */
	CAPTURE_TOO_DEEP,        /* more than we walk: both ends kept where known */
	CAPTURE_NO_CFI,          /* C code without unwind information, and no way over it */
	CAPTURE_BAD_CFI,         /* unwind information that does not decode */
	CAPTURE_BAD_STACK,       /* a value outside the stack's bounds */
	CAPTURE_BAD_CROSSING,    /* asmcgocall or crosscall2 not as we know them */
	CAPTURE_BAD_GO,          /* a Go frame chain that leaves its stack */
	CAPTURE_UNWINDER,        /* a place that was not known yet, while code was unloaded */
	CAPTURE_SKIPPED, /* not walked: nested, no recording stack left, or more mappings a second
			    than are followed */
	CAPTURE_GAP,     /* to a root, over frames that could not be followed */
	/* Not of a walk: */
	CAPTURE_NO_ROOM,   /* its ends alone, because the arena was full (stacks.h) */
	CAPTURE_RECLAIMED, /* the totals of stacks that were reclaimed (stacks_reclaim.h) */
	CAPTURE_END_COUNT
};
#define CAPTURE_WALK_ENDS CAPTURE_NO_ROOM

const char *capture_end_name(uint32_t end); /* "complete_go", "no_cfi", ... */
static inline bool capture_end_is_complete(uint32_t end)
{
	return end <= CAPTURE_COMPLETE_THREAD;
}

#endif
