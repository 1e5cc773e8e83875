/*
 * Tells when no hook still uses what was removed from a table.
 *
 * A hook holds a pin from before a lookup until it has counted the result. On a recording stack,
 * the stack itself is the pin and costs two stores; elsewhere it is two atomic additions. Neither
 * waits. After removing a record from its table, the server polls a grace until every hook
 * that held a pin at that moment has released it. Later lookups do not find the record.
 *
 * There are two counts of pins, so that each reaches zero however many hooks run: new pins go to
 * the other count meanwhile. A stack that is taken again and again says at which grace it was
 * pinned.
 *
 * A thread that is stopped in a hook for good keeps graces from ending. This costs memory and
 * nothing else.
 */
#ifndef CGOHEAP_PINS_H
#define CGOHEAP_PINS_H

#include "base/base.h"
#include "region/recstack.h"
#include "record/sample.h"

extern uint64_t pins_graces __attribute__((visibility("hidden"))); /* begun so far */
uint32_t pins_enter_count(void);
void pins_leave_count(uint32_t side);

#define PINS_STACK 2 /* the pin is the recording stack */

/*
 * Any thread, signal handlers too; nests. Pass the result to pins_leave, on the same stack. Of
 * several pins of a thread only the first says at which grace it was.
 */
static inline uint32_t pins_enter(void)
{
	uint8_t held = LOAD(&sample_self.pins);

	STORE(&sample_self.pins, (uint8_t)(held + 1));
	if (unlikely(!recstack_own))
		return pins_enter_count();
	if (likely(!held))
		STORE_REL(&recstack_own->pinned, LOAD_ACQ(&pins_graces));
	return PINS_STACK;
}

static inline void pins_leave(uint32_t side)
{
	if (unlikely(side != PINS_STACK))
		pins_leave_count(side);
	STORE(&sample_self.pins, (uint8_t)(sample_self.pins - 1));
}

/* One at a time; initialise with {0}. */
struct grace {
	uint32_t passed; /* one bit for each count that has been zero since */
	uint32_t stacks; /* this many recording stacks were seen without an earlier pin */
	bool is_begun;
};
/* True, and stays true, once all pins held at its start are released. */
bool pins_poll(struct grace *grace);

/* In a child of fork that keeps profiling: only this thread exists, and it holds no pin. */
void pins_follow_in_child(void);

/* Whether this thread holds a pin. If so, it must not fork a child that keeps profiling. */
static inline bool pins_held(void)
{
	return LOAD(&sample_self.pins) != 0;
}

#endif
