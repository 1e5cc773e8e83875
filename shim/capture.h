/*
 * One mixed stack: C frames by CFI, over runtime.asmcgocall to Go frames by
 * frame pointer, over crosscall2 back to C, and so on to a root.
 *
 * Runs inside a hook, on any thread and stack, possibly in a signal handler:
 * no allocation, no lock of ours (the loader's, only when a pc is seen for the
 * first time on a glibc before 2.35), no Go.  What it reads outside its own frame
 * memory.h lets it read.  errno is the caller's to preserve; sample_self.busy is set
 * by the caller.
 */
#ifndef CGOHEAP_CAPTURE_H
#define CGOHEAP_CAPTURE_H

#include "arch.h"
#include "base.h"

#define CAPTURE_MAX_FRAMES 128
/* A deeper stack keeps this many root frames; the rest are leaf frames. */
#define CAPTURE_ROOT_FRAMES 32

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

struct capture {
	uint32_t count;      /* frames, leaf first */
	uint32_t end;        /* enum capture_end */
	uint32_t omitted_at; /* frames[omitted_at] is the first after a gap; 0 = no gap */
	uint32_t labels;     /* of the innermost goroutine, labelsets.h; 0: none */
	/*
	 * Return addresses (the pc of the call is one less), except frames[0],
	 * which is the entry of the allocator function plus one.
	 */
	uint64_t frames[CAPTURE_MAX_FRAMES];
};

/*
 * Fills *c with the stack of the hook's caller.  leaf: address of the function
 * the host called (real.malloc); becomes frames[0].  regs: of a function of
 * the shim's on the host's stack (recstack.h), or taken with arch_get_regs; frames
 * inside the shim are walked over and not kept.  Takes 12 KiB of stack.
 */
void capture_stack(struct capture *c, const struct regs *regs, uint64_t leaf);

const char *capture_end_name(uint32_t end); /* "complete_go", "no_cfi", ... */
static inline bool capture_end_is_complete(uint32_t end)
{
	return end <= CAPTURE_COMPLETE_THREAD;
}

/* Once, in the constructor, after gomodules_init: where the shim's own text lies. */
void capture_init(void);

#endif
