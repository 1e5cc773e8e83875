/*
 * Room unwind: from registers to a complete stack.  Called in hooks; takes no lock, and reads only
 * through saferead.h.
 *
 * Captures one mixed stack: C frames by CFI, across runtime.asmcgocall to Go frames by frame
 * pointer, across crosscall2 back to C, and so on to a root.
 *
 * Runs inside a hook, on any thread and stack, possibly in a signal handler: no allocation, no
 * lock, no Go.  Outside its own frame it reads only what saferead.h allows.  The caller preserves
 * errno and sets sample_self.busy.
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

struct last_walk;

struct capture {
	uint32_t count;      /* frames, leaf first */
	uint32_t end;        /* enum capture_end */
	uint32_t omitted_at; /* frames[omitted_at] is the first after a gap; 0 = no gap */
	uint32_t labels; /* of the innermost goroutine, an id from capture_init's keep_labels; 0:
			    none */
	/*
	 * So many frames, counted from the root, were compared word by word with those of this
	 * thread's last capture and found unchanged.  Fewer than are in fact the same where that
	 * was not worth the comparison; 0 if that capture is not remembered.
	 */
	uint32_t unchanged;
	/* Of the memory of this capture, for capture_note. */
	uint32_t serial;
	struct last_walk *memory; /* NULL: it is not remembered */
	bool is_left_out;         /* all but end, labels and note */
	/*
	 * What capture_note noted for this thread's last capture, if this is the same stack: leaf,
	 * frames, end, gap and labels, with no code unloaded in between.  Otherwise 0.
	 */
	uint64_t note;
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
 * The same, but if c->note is not 0, c has only what is in its end and labels, and the memory of
 * this thread stays in use until the caller calls one of the next two.  Otherwise they do nothing.
 */
void capture_noted(struct capture *c, const struct regs *regs, uint64_t leaf);

/*
 * As capture_stack, but apart from this thread's other captures: what is remembered of the last one
 * stays as it is, and c is not compared with it.  For who captures rarely between others' captures.
 */
void capture_apart(struct capture *c, const struct regs *regs, uint64_t leaf);

/* The note is not enough: fills in the rest. */
void capture_fill(struct capture *c);

/* The note is enough: c is not used any more. */
void capture_leave(const struct capture *c);

/*
 * Keeps a word for as long as this thread's captures are the same stack as c: each then has it in
 * c->note.  For who interned the stack, to find it again without looking at the frames.  What the
 * word means, and until when it is valid, is the caller's business: a note that is no longer valid
 * is replaced by the next one.  0 removes it.  Does nothing if c is not remembered, or if the
 * thread has captured since.  Async-signal-safe; a few instructions.
 */
void capture_note(const struct capture *c, uint64_t note);

/*
 * Stores a goroutine's labels and returns their id, 0 none.  Called on the capturing thread, in a
 * hook.  NULL: there are labels, but they cannot be read.
 */
typedef uint32_t capture_labels(const struct golabels *labels);

/* Once, in the constructor, after gomodules_init. */
void capture_init(capture_labels *keep_labels);

#endif
