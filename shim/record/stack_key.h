/*
 * What makes a stack the one that it is: its frames and how they end, the unloads of code
 * before it, the goroutine labels.
 *
 * Any thread; no lock; nothing is kept.  A key points to frames that are the caller's.
 */
#ifndef CGOHEAP_STACK_KEY_H
#define CGOHEAP_STACK_KEY_H

#include "base/base.h"
#include "region/cells.h"
#include "unwind/capture.h"

struct stack_key {
	const uint64_t *frames;
	uint32_t count, end, omitted_at;
	uint32_t unloads, labels;
	uint64_t hash;
	enum cells_need need;
};

struct stack_key stack_key_of(const struct capture *c, uint32_t labels);
/* The unloads and the hash: before it is looked for. */
void stack_key_finish(struct stack_key *key);

/*
 * The same stack, shortened for where there is no room: its first C frames and the way into Go.
 * n: which of the forms, the longest first.  frames: where they are to be.
 */
#define STACK_KEY_ENDS_FORMS  3
#define STACK_KEY_ENDS_FRAMES 16 /* of the longest */
#define STACK_KEY_ENDS_FEWER  9  /* of the next */
struct stack_key stack_key_ends(const struct capture *c, size_t n,
				uint64_t frames[STACK_KEY_ENDS_FRAMES]);

#endif
