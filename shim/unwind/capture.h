/*
 * Room unwind: from registers to a complete stack.  Called in hooks; takes no lock, and reads only
 * through saferead.h.
 *
 * Captures one mixed stack: C frames by CFI, across runtime.asmcgocall to Go frames by frame
 * pointer, across crosscall2 back to C, and so on to a root.
 *
 * Runs inside a hook, on any thread and stack, possibly in a signal handler: no allocation, no
 * lock of ours (only the loader's, when a pc is first seen on a glibc before 2.35), no Go.  Outside
 * its own frame it reads only what saferead.h allows.  The caller preserves errno and sets
 * sample_self.busy.
 */
#ifndef CGOHEAP_CAPTURE_H
#define CGOHEAP_CAPTURE_H

#include "base/arch.h"
#include "base/base.h"
#include "unwind/capture_end.h"
#include "unwind/golabels.h"

#define CAPTURE_MAX_FRAMES 128
/* Of a stack that is too deep, this many root frames are kept; the rest are leaf frames. */
#define CAPTURE_ROOT_FRAMES 32

struct capture {
	uint32_t count;      /* frames, leaf first */
	uint32_t end;        /* enum capture_end */
	uint32_t omitted_at; /* frames[omitted_at] is the first after a gap; 0 = no gap */
	uint32_t labels; /* of the innermost goroutine, an id from capture_init's keep_labels; 0:
			    none */
	/*
	 * Return addresses (the call's pc is one less).  frames[0] is the allocator
	 * function's entry plus one.
	 */
	uint64_t frames[CAPTURE_MAX_FRAMES];
};

/*
 * Fills *c with the stack of the hook's caller.  leaf: address of the function that the host
 * called (real.malloc); becomes frames[0].  regs: registers of a shim function on the host's
 * stack (recstack.h), or from arch_get_regs; frames inside the shim are not recorded.  Uses
 * 12 KiB of stack.
 */
void capture_stack(struct capture *c, const struct regs *regs, uint64_t leaf);

/*
 * Stores a goroutine's labels and returns their id, 0 none.  Called on the capturing thread, in a
 * hook.  NULL: there are labels, but they cannot be read.
 */
typedef uint32_t capture_labels(const struct golabels *labels);

/* Once, in the constructor, after gomodules_init. */
void capture_init(capture_labels *keep_labels);

#endif
