/*
 * On, off, how finely, and for how long.
 */
#ifndef CGOHEAP_CONTROL_H
#define CGOHEAP_CONTROL_H

#include "base/base.h"

/*
 * Who is told that sampling goes on or off (interpose_follow); set before
 * control_init.  Called with on; after `off` once more when every thread has had
 * the time to finish what it was recording (settled), and again until it says true.
 */
extern bool (*control_follower)(bool on, bool settled);

/*
 * Who says how many times the interval is to be doubled (budget_doublings); set
 * before control_init, NULL: nobody.  Asked once a second while sampling is on; and
 * control_room (budget_look_at_room) after it, and every 50 ms as long as it says true.
 */
extern uint32_t (*control_budget)(uint32_t sample_bytes, bool anew);
extern bool (*control_room)(uint32_t sample_bytes, uint32_t *doublings);

/* Applies the start configuration. */
void control_init(uint32_t sample_bytes, bool dormant);

/* interval_bytes 0 = keep the last one; for_ns 0 = until told otherwise. */
void control_sampling(bool on, uint32_t interval_bytes, uint64_t for_ns);

struct control_state {
	bool on;
	uint32_t sample_bytes; /* the one in force, or that `on` would use */
	uint32_t
		configured_sample_bytes; /* the one asked for; below it where a budget is used up */
	uint64_t remaining_ns;           /* until it turns itself off; 0 = no limit */
	uint64_t on_ns;  /* for how long it has been on without a break; 0 while it is off */
	uint64_t off_ns; /* how long it was off, since the start: what was allocated then is in no
			    figure */
};
struct control_state control_get(void);

/* Called by the server's loop: ends a limited sampling, tells threads of a
 * change.  Returns nanoseconds until it wants to be called again (UINT64_MAX: not). */
uint64_t control_tick(void);

/* Around a fork whose child goes on (atfork.c): the lock is held in between. */
void control_before_fork(void);
void control_after_fork(void);

#endif
