/*
 * Room unwind: from registers to a whole stack.  Called in hooks; takes no lock, and reads by
 * saferead.h alone.
 *
 * One mixed stack: C frames by CFI, over runtime.asmcgocall to Go frames by
 * frame pointer, over crosscall2 back to C, and so on to a root.
 *
 * Runs inside a hook, on any thread and stack, possibly in a signal handler:
 * no allocation, no lock of ours (the loader's, only when a pc is seen for the
 * first time on a glibc before 2.35), no Go.  What it reads outside its own frame
 * saferead.h lets it read.  errno is the caller's to preserve; sample_self.busy is set
 * by the caller.
 */
#ifndef CGOHEAP_CAPTURE_H
#define CGOHEAP_CAPTURE_H

#include "base/arch.h"
#include "base/base.h"
#include "unwind/capture_end.h"
#include "unwind/golabels.h"

#define CAPTURE_MAX_FRAMES 128
/* A deeper stack keeps this many root frames; the rest are leaf frames. */
#define CAPTURE_ROOT_FRAMES 32

struct capture {
	uint32_t count;      /* frames, leaf first */
	uint32_t end;        /* enum capture_end */
	uint32_t omitted_at; /* frames[omitted_at] is the first after a gap; 0 = no gap */
	uint32_t labels;     /* of the innermost goroutine, as capture_init's keep_labels has it; 0:
				none */
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

/*
 * Keeps a goroutine's labels, on the thread that captures, in a hook: their id, 0 none.  NULL:
 * there are labels, but they cannot be read.
 */
typedef uint32_t capture_labels(const struct golabels *labels);

/* Once, in the constructor, after gomodules_init. */
void capture_init(capture_labels *keep_labels);

#endif
