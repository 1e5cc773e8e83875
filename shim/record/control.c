/*
 * The state of sampling and its two timers: when a time-limited sampling ends, and when threads
 * of an older epoch are told again. A request for a change only sets the state; everything that
 * takes time is done by the server's loop, through control_tick.
 */
#include "record/control.h"

#include "base/clock.h"
#include "base/lock.h"
#include "region/region.h"
#include "config/config.h"
#include "record/sample.h"

/* A thread that misses one nudge (it was storing its counter at that moment) gets the next. */
#define NUDGE_EVERY_NS UINT64_C(50000000)
#define NUDGES         20u /* one second in all */

/* Records in progress when sampling went off are finished by then. */
#define SETTLE_NS    UINT64_C(2000000000)
#define ASK_EVERY_NS UINT64_C(10000000000)

#define BUDGET_EVERY_NS UINT64_C(1000000000)
#define ROOM_EVERY_NS   UINT64_C(50000000) /* while tables are more than half full */

#define NEVER UINT64_MAX

static struct {
	struct lock lock; /* protects all fields below */
	struct control_start start;
	bool on;
	uint32_t sample_bytes; /* as requested */
	uint32_t doublings;    /* of sample_bytes */
	uint64_t ends_ns;      /* NEVER = no limit */
	uint32_t nudges_left;
	uint64_t next_nudge_ns;
	uint64_t next_follow_ns; /* when to call the follower again; NEVER = no need */
	uint64_t next_budget_ns, next_room_ns;
	uint64_t off_ns, off_since_ns; /* NEVER while on */
	uint64_t on_since_ns;          /* NEVER while off */
} control = {.sample_bytes = CONFIG_DEFAULT_SAMPLE_BYTES,
	     .ends_ns = NEVER,
	     .next_follow_ns = NEVER,
	     .next_budget_ns = NEVER,
	     .next_room_ns = NEVER,
	     .off_since_ns = NEVER,
	     .on_since_ns = NEVER};

static uint32_t interval_in_force(void)
{
	uint64_t bytes = (uint64_t)control.sample_bytes << control.doublings;
	return bytes < CONFIG_MAX_SAMPLE_BYTES ? (uint32_t)bytes : CONFIG_MAX_SAMPLE_BYTES;
}

/* About a second later: at a whole second since the start, when marks are due (cohorts.h). */
static uint64_t next_budget(uint64_t now)
{
	uint64_t since = now - region_layout.start_monotonic_ns + BUDGET_EVERY_NS / 2;

	return now + BUDGET_EVERY_NS * 3 / 2 - since % BUDGET_EVERY_NS;
}

/* Makes every thread draw again. Under the lock. */
static void apply(uint64_t now)
{
	control.nudges_left = NUDGES;
	control.next_nudge_ns = now;
	sample_set_interval(control.on ? interval_in_force() : 0);
}

/* Under the lock. */
static uint64_t off_until(uint64_t now)
{
	return control.off_ns + (control.off_since_ns < now ? now - control.off_since_ns : 0);
}

/* Whether the follower needs no further calls. */
static bool is_followed(bool on, bool settled)
{
	return !control.start.follow || control.start.follow(on, settled);
}

/* Under the lock, so that the later of two changes takes effect. */
static void change(bool on, uint64_t ends_ns, uint64_t now)
{
	control.on = on;
	control.off_ns = off_until(now);
	control.off_since_ns = on ? NEVER : now;
	if (!on || control.on_since_ns == NEVER)
		control.on_since_ns = on ? now : NEVER;
	control.ends_ns = on ? ends_ns : NEVER;
	control.next_follow_ns = is_followed(on, false) ? NEVER : now + SETTLE_NS;
	control.doublings = 0;
	control.next_budget_ns = control.next_room_ns = NEVER;
	if (on && control.start.doublings) {
		control.doublings = control.start.doublings(control.sample_bytes, true);
		control.next_budget_ns = next_budget(now);
	}
	apply(now);
}

void control_init(const struct control_start *start)
{
	lock_take(&control.lock);
	control.start = *start;
	control.sample_bytes = start->sample_bytes;
	control.off_ns = 0;
	control.off_since_ns = NEVER;
	change(!start->is_dormant, NEVER, clock_monotonic_ns());
	control.nudges_left = 0;                           /* no thread has an older epoch yet */
	if (start->is_dormant && is_followed(false, true)) /* and none has recorded anything */
		control.next_follow_ns = NEVER;
	lock_release(&control.lock);
}

void control_sampling(bool on, uint32_t interval_bytes, uint64_t for_ns)
{
	uint64_t now = clock_monotonic_ns(), ends_ns;
	if (for_ns == 0 || __builtin_add_overflow(now, for_ns, &ends_ns))
		ends_ns = NEVER;
	lock_take(&control.lock);
	if (interval_bytes != 0)
		control.sample_bytes = interval_bytes;
	change(on, ends_ns, now);
	lock_release(&control.lock);
}

struct control_state control_get(void)
{
	uint64_t now = clock_monotonic_ns();
	lock_take(&control.lock);
	struct control_state s = {.on = control.on,
				  .sample_bytes = interval_in_force(),
				  .configured_sample_bytes = control.sample_bytes,
				  .on_ns = control.on ? now - control.on_since_ns : 0,
				  .off_ns = off_until(now)};
	/* Past its end but not yet ended: 0 would mean "no limit". */
	if (control.ends_ns != NEVER)
		s.remaining_ns = control.ends_ns > now ? control.ends_ns - now : 1;
	lock_release(&control.lock);
	return s;
}

/* The time from now to then; 0 if then has passed. */
static uint64_t until(uint64_t then, uint64_t now)
{
	if (then == NEVER)
		return NEVER;
	return then > now ? then - now : 0;
}

/* Under the lock. */
static void keep_to_budget(uint64_t now, bool room_alone)
{
	uint32_t before = interval_in_force();

	if (!room_alone) {
		control.doublings = control.start.doublings(control.sample_bytes, false);
		control.next_budget_ns = next_budget(now);
	}
	bool is_filling = control.start.look_at_room &&
			  control.start.look_at_room(control.sample_bytes, &control.doublings);
	control.next_room_ns = is_filling ? now + ROOM_EVERY_NS : NEVER;
	if (interval_in_force() != before)
		apply(now);
}

uint64_t control_tick(void)
{
	uint64_t now = clock_monotonic_ns();
	lock_take(&control.lock);
	if (now >= control.ends_ns)
		change(false, NEVER, now);
	if (now >= control.next_budget_ns || now >= control.next_room_ns)
		keep_to_budget(now, now < control.next_budget_ns);
	bool nudge = control.nudges_left > 0 && now >= control.next_nudge_ns;
	if (nudge) {
		control.nudges_left--;
		control.next_nudge_ns = now + NUDGE_EVERY_NS;
	}
	if (now >= control.next_follow_ns)
		control.next_follow_ns = is_followed(false, true) ? NEVER : now + ASK_EVERY_NS;
	uint64_t wait = until(control.ends_ns, now);
	if (until(control.next_follow_ns, now) < wait)
		wait = until(control.next_follow_ns, now);
	if (until(control.next_budget_ns, now) < wait)
		wait = until(control.next_budget_ns, now);
	if (until(control.next_room_ns, now) < wait)
		wait = until(control.next_room_ns, now);
	if (control.nudges_left > 0 && until(control.next_nudge_ns, now) < wait)
		wait = until(control.next_nudge_ns, now);
	lock_release(&control.lock);
	if (nudge)
		sample_nudge();
	return wait;
}

void control_before_fork(void)
{
	lock_take(&control.lock);
}

void control_after_fork(void)
{
	lock_release(&control.lock);
}
