/*
 * Tells when no hook still uses what was removed from a table.
 *
 * A hook holds a pin from before a lookup until it has counted the result: two atomic additions,
 * no waiting. After removing a record from its table, the server polls a grace until every hook
 * that held a pin at that moment has released it. Later lookups do not find the record.
 *
 * There are two counts of pins, so that each reaches zero however many hooks run: new pins go to
 * the other count meanwhile.
 *
 * A thread that is stopped in a hook for good keeps graces from ending. This costs memory and
 * nothing else.
 */
#ifndef CGOHEAP_PINS_H
#define CGOHEAP_PINS_H

#include "base/base.h"

/* Any thread, signal handlers too; nests. Pass the result to pins_leave. */
uint32_t pins_enter(void);
void pins_leave(uint32_t side);

/* One at a time; initialise with {0}. */
struct grace {
	uint32_t passed; /* one bit for each count that has been zero since */
};
/* True, and stays true, once all pins held at its start are released. */
bool pins_poll(struct grace *grace);

/* In a child of fork that keeps profiling: only this thread exists, and it holds no pin. */
void pins_follow_in_child(void);
/* Whether this thread holds a pin. If so, it must not fork a child that keeps profiling. */
bool pins_held(void);

#endif
