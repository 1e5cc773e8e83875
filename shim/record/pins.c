/*
 * See pins.h. A pin's addition and the poll's are read-modify-writes of one word. Either the
 * poll sees the pin, or the pin comes after the poll and its holder sees everything done before
 * it.
 */
#include "record/pins.h"

#include "record/sample.h"

static uint32_t counts[2] __attribute__((aligned(64)));
static uint32_t current;

uint32_t pins_enter(void)
{
	uint32_t side = LOAD(&current) & 1;

	STORE(&sample_self.pins, (uint8_t)(sample_self.pins + 1));
	__atomic_fetch_add(&counts[side], 1, __ATOMIC_ACQ_REL);
	return side;
}

void pins_leave(uint32_t side)
{
	__atomic_fetch_sub(&counts[side], 1, __ATOMIC_ACQ_REL);
	STORE(&sample_self.pins, (uint8_t)(sample_self.pins - 1));
}

bool pins_poll(struct grace *grace)
{
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

bool pins_held(void)
{
	return LOAD(&sample_self.pins) != 0;
}
