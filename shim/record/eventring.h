/*
 * Sampled allocations and frees, as they happen, for who reads them now.
 *
 * Hooks write on their slow path, and only while there is a reader: without one, a sample costs
 * one load more. The ring never waits and never grows. A writer takes the next number and the
 * place of that number; what was there is overwritten. Readers notice what they lost by the
 * numbers, and count it.
 *
 * A writer that is stopped in the middle keeps its place, and the events for that place are lost
 * until it goes on. Two writers never mix, because a place is claimed before it is changed.
 *
 * For one address, events are in order: an allocation is noted before the host has the address,
 * a free before the block is freed.
 *
 * The ring is in scratch memory, taken when it is first read. It stays until the process ends,
 * since a hook may always be about to write to it.
 */
#ifndef CGOHEAP_EVENTRING_H
#define CGOHEAP_EVENTRING_H

#include "base/base.h"
#include "record/live.h"

enum event_kind {
	EVENT_ALLOC,
	EVENT_FREE,
	EVENT_KEPT, /* the realloc that had freed it failed */
};

struct event {
	enum event_kind kind;
	uint64_t time_ns; /* CLOCK_MONOTONIC, as of the kernel's last tick */
	uint64_t address, size;
	uint64_t stack;    /* struct stack.hash */
	uint64_t born;     /* of the site: a later stack may have its cell */
	uint32_t site;     /* id, stacks.h */
	uint32_t interval; /* at which it was sampled */
	uint32_t thread;
	uint32_t tick; /* when it was allocated, as in struct live_block */
};

struct eventring;
/* NULL: there is no reader. */
extern struct eventring *eventring_read_now __attribute__((visibility("hidden")));

void eventring_put(struct eventring *ring, enum event_kind kind, const struct live_block *block);

/* Any thread, signal handlers too, on a recording stack; call while the block counts as in use,
 * or under the pin of its allocation. */
static inline void eventring_note(enum event_kind kind, const struct live_block *block)
{
	struct eventring *ring = LOAD_ACQ(&eventring_read_now);

	if (unlikely(ring))
		eventring_put(ring, kind, block);
}

/* ---- the server's thread ------------------------------------------------ */

struct eventring_reader {
	uint64_t next;    /* number of the next event */
	uint64_t lost;    /* events that it never got; the caller resets it */
	uint64_t wait_ns; /* since when the next one is incomplete; 0: it is not */
};

/* Begins to read with what happens from now on. -1: no memory for the ring. */
int eventring_open(struct eventring_reader *reader);
uint64_t eventring_head(void); /* number of the next event to come; while open */
void eventring_close(void);    /* once for each open */
/* False: no event now. */
bool eventring_take(struct eventring_reader *reader, struct event *out);

/* In a child of fork, before scratch is forgotten: the readers are the parent's. */
void eventring_after_fork_in_child(void);

#endif
