/*
 * When nothing that was taken out of a table is looked at any more.
 *
 * A hook holds a pin from before it looks something up until it has counted on
 * it: two atomic additions, no waiting.  Who takes a record out of its table (the
 * server) polls a grace until each hook that held a pin at that moment has let it
 * go; what a hook looks up later, it finds without the record.
 *
 * There are two counts of pins, so that each comes to zero however many hooks
 * there are: new pins go to the other one meanwhile.
 *
 * A thread that is stopped in a hook for good keeps graces from ending, which
 * costs memory and nothing else.
 */
#ifndef CGOHEAP_PINS_H
#define CGOHEAP_PINS_H

#include "base/base.h"

/* Any thread, signal handlers too; nests.  The result is for pins_leave. */
uint32_t pins_enter(void);
void pins_leave(uint32_t side);

/* One at a time; {0} begins one. */
struct grace {
	uint32_t passed; /* a bit for each count that was zero since */
};
/* True, from then on: all pins of its beginning are gone. */
bool pins_poll(struct grace *grace);

/* In a child of fork that goes on: only this thread is there, and it holds none. */
void pins_follow_in_child(void);
/* Whether this thread holds one: it must not fork into a child that goes on. */
bool pins_held(void);

#endif
