#ifndef CGOHEAP_CAPTURE_END_H
#define CGOHEAP_CAPTURE_END_H

#include "base/base.h"

/* How a stack ended.  Names for the status page: capture_end_name. */
enum capture_end {
	CAPTURE_COMPLETE_GO,     /* runtime.goexit, runtime.main, mstart or rt0_go */
	CAPTURE_COMPLETE_THREAD, /* a C thread's start routine, or _start */
	CAPTURE_TOO_DEEP,        /* deeper than we walk: both ends kept where known */
	CAPTURE_NO_CFI,          /* C code without unwind information that could not be skipped */
	CAPTURE_BAD_CFI,         /* undecodable unwind information */
	CAPTURE_BAD_STACK,       /* a value outside the stack's bounds */
	CAPTURE_BAD_CROSSING,    /* an unknown form of asmcgocall or crosscall2 */
	CAPTURE_BAD_GO,          /* a Go frame chain that leaves its stack */
	CAPTURE_UNWINDER,        /* a pc not seen before, while code was being unloaded */
	CAPTURE_SKIPPED, /* not walked: nested, no recording stack free, or too many mappings per
			    second */
	CAPTURE_GAP,     /* reached a root, across frames that could not be followed */
	/* Not the end of a walk: */
	CAPTURE_NO_ROOM,   /* only its ends, because the arena was full (stacks.h) */
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
