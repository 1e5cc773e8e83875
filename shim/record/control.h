/*
 * Turns sampling on and off, and sets its interval and time limit.
 */
#ifndef CGOHEAP_CONTROL_H
#define CGOHEAP_CONTROL_H

#include "base/base.h"

struct control_start {
	uint32_t sample_bytes;
	bool is_dormant;
	/*
	 * Told when sampling is turned on or off (interpose_follow). Called with on; after
	 * `off`, called again once every thread has had time to finish its record (settled), and
	 * then until it returns true. NULL: not called.
	 */
	bool (*follow)(bool on, bool settled);
	/*
	 * Returns how many times to double the interval (budget_doublings); NULL: never doubled.
	 * Called once a second while sampling. look_at_room (budget_look_at_room; may be NULL) is
	 * called after it, and every 50 ms as long as it returns true.
	 */
	uint32_t (*doublings)(uint32_t sample_bytes, bool restarted);
	bool (*look_at_room)(uint32_t sample_bytes, uint32_t *doublings);
};

/* Call once, before all other functions: applies the start configuration. */
void control_init(const struct control_start *start);

/* interval_bytes 0 keeps the last interval; for_ns 0 sets no time limit. */
void control_sampling(bool on, uint32_t interval_bytes, uint64_t for_ns);

struct control_state {
	bool on;
	uint32_t sample_bytes;            /* in force, or to be used when turned on */
	uint32_t configured_sample_bytes; /* as requested; smaller while a budget is used up */
	uint64_t remaining_ns;            /* until sampling turns itself off; 0 = no limit */
	uint64_t on_ns;                   /* how long it has been on without a break; 0 while off */
	uint64_t off_ns; /* total time off since the start; allocations made then are in no
			  * figure */
};
struct control_state control_get(void);

/* Called by the server's loop. Ends time-limited sampling and tells threads of a change.
 * Returns the nanoseconds until the next call (UINT64_MAX: none needed). */
uint64_t control_tick(void);

/* Around a fork whose child keeps profiling (atfork.c): the lock is held in between. */
void control_before_fork(void);
void control_after_fork(void);

#endif
