/*
 * See pins.h. A pin's addition and the poll's are read-modify-writes of one word, and so are
 * taking a recording stack and the poll's look at it. Either the poll sees the pin, or the pin
 * comes after the poll and its holder sees everything done before it.
 */
#include "record/pins.h"

#include "region/recstack.h"

static uint32_t counts[2] __attribute__((aligned(64)));
static uint32_t current;
uint64_t pins_graces;

uint32_t pins_enter_count(void)
{
	uint32_t side = LOAD(&current) & 1;

	__atomic_fetch_add(&counts[side], 1, __ATOMIC_ACQ_REL);
	return side;
}

void pins_leave_count(uint32_t side)
{
	__atomic_fetch_sub(&counts[side], 1, __ATOMIC_ACQ_REL);
}

/*
 * Whether a thread that is on this stack may hold a pin from before the grace. If not, whoever has
 * the stack, now or later, sees what was done before it: from the count of graces, or from the
 * thread that had the stack and stored that count. And this thread sees what was done under the
 * stack's earlier pins: storing the count releases that, as giving the stack back does.
 */
static bool stack_may_be_pinned(struct recstack_own *own)
{
	return __atomic_fetch_add(&own->thread, 0, __ATOMIC_ACQ_REL) &&
	       LOAD_ACQ(&own->pinned) != LOAD(&pins_graces);
}

static bool stacks_are_past(struct grace *grace)
{
	if (!grace->is_begun)
		__atomic_fetch_add(&pins_graces, 1, __ATOMIC_RELEASE);
	grace->is_begun = true;
	for (; grace->stacks < RECSTACK_COUNT; grace->stacks++)
		if (stack_may_be_pinned(recstack_own_at(grace->stacks)))
			return false;
	return true;
}

bool pins_poll(struct grace *grace)
{
	if (!stacks_are_past(grace))
		return false;
	for (uint32_t side = 0; side < 2; side++) {
		if (grace->passed & 1u << side)
			continue;
		STORE(&current, 1 - side);
		if (__atomic_fetch_add(&counts[side], 0, __ATOMIC_ACQ_REL))
			return false;
		grace->passed |= 1u << side;
	}
	return true;
}

void pins_follow_in_child(void)
{
	counts[0] = counts[1] = 0;
}
