/*
 * The walk over what nearly all stacks are made of, in a few dozen instructions a frame, and over
 * frames that have not changed since the thread's last walk in a few.
 *
 * It knows C frames of the two short forms (row.h) on a thread's own stack, Go frames on
 * the goroutine's, and the ways between them: asmcgocall from a goroutine, crosscall2.  At anything
 * else it gives up, and capture.c walks again from the start, step by step.  So it has no failure
 * to report: its result is the other walk's, in every detail.
 *
 * It reads words of this thread's stack from the frame it walks to the known top, of the
 * goroutine's stack that asmcgocall leads to, and what unwind_go.h reads.
 *
 * Any thread and stack; lock-free, async-signal-safe.  Uses 5 KiB of stack.
 */
#ifndef CGOHEAP_QUICKWALK_H
#define CGOHEAP_QUICKWALK_H

#include "base/arch.h"
#include "unwind/capture.h"
#include "unwind/saferead.h"
#include "unwind/unwind_go.h"

/* The goroutine that the walk comes to first. */
struct quickwalk_go {
	uint64_t g; /* 0: none */
	const struct gomodule *module;
	struct go_stack own_stack; /* of the thread's own goroutine; 0, 0: another one */
};

enum quickwalk {
	QUICKWALK_DONE,
	QUICKWALK_SAME, /* the whole walk is the last one: c is not filled in yet */
	QUICKWALK_NOT,  /* given up; c and memory are undefined, and last is as it was */
};

/*
 * Fills in c but for labels and note.  memory: begun at regs->sp, its copies unused.  last: what
 * is remembered of this thread; changed to this walk.  NULL: nothing is.
 */
enum quickwalk quickwalk(struct capture *c, struct saferead *memory, const struct regs *regs,
			 uint64_t leaf, struct last_walk *last, struct quickwalk_go *go);

/* Fills in c, as quickwalk does, from the last walk. */
void quickwalk_put(struct capture *c, const struct last_walk *last, uint64_t leaf);

#endif
