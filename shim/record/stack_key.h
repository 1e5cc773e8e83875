/*
 * What identifies a stack: its frames and how they end, the unloads before it, the goroutine
 * labels.
 *
 * Any thread; no lock; stores nothing. A key points to the caller's frames.
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
	bool is_freeing;
};

struct stack_key stack_key_of(const struct capture *c, uint32_t labels);
/* Computes the stamp of unloads and the hash; call before a lookup. */
void stack_key_finish(struct stack_key *key);

/*
 * Shortens the stack for when there is no room: its first C frames and the way into Go. n: which
 * form, the longest first. frames: the caller's buffer for them.
 */
#define STACK_KEY_ENDS_FORMS  3
#define STACK_KEY_ENDS_FRAMES 16 /* in the longest form */
#define STACK_KEY_ENDS_FEWER  9  /* in the next form */
struct stack_key stack_key_ends(const struct capture *c, size_t n,
				uint64_t frames[STACK_KEY_ENDS_FRAMES]);

#endif
