/*
 * What recording may cost, and what it does cost.
 *
 * Two bounds: the processor time that recording takes (CGOHEAP_MAX_CPU, a share
 * of one core), measured around every recorded sample; and the tables' room.
 * Where one is reached the interval between samples doubles, as often as it
 * takes, and it halves again when things are calm: estimates get coarser, and
 * nothing gathered is lost or biased, because each block keeps the interval that
 * it was sampled at.
 *
 * Only what a longer interval makes cheaper counts.  What it costs that sampled
 * blocks are freed depends on how many there are already: it is measured apart,
 * and raises nothing.
 *
 * A profile must stay good for something: the interval goes no further than
 * BUDGET_COARSEST_BYTES (or the one asked for, where that is larger).  What is
 * above a bound there is said, in status and profile.  Only where the user named
 * CGOHEAP_MAX_CPU is that bound kept at any interval.
 *
 * An interval of 1 is a promise of exact figures.  It is kept, whatever it costs,
 * unless CGOHEAP_MAX_CPU was given too.
 */
#ifndef CGOHEAP_BUDGET_H
#define CGOHEAP_BUDGET_H

#include "base/arch.h"
#include "base/base.h"

#define BUDGET_PPM 1000000u /* of one core */

#define BUDGET_COARSEST_BYTES (8u << 20)

/* Clock ticks spent, by all threads; each only grows. */
extern struct budget_spent {
	uint64_t recording; /* allocations: what the interval decides */
	uint64_t freeing;   /* sampled blocks */
} budget_spent;

/*
 * One record that took longer was interrupted: the processor was another's for
 * the rest.  0.1 to 0.3 ms, as the clock goes.
 */
#define BUDGET_LONGEST_TICKS (UINT64_C(1) << 18)

static inline uint64_t budget_begin(void)
{
	return arch_ticks();
}

static inline void budget_end(uint64_t *spent, uint64_t begun)
{
	uint64_t took = arch_ticks() - begun;
	ADD(spent, took < BUDGET_LONGEST_TICKS ? took : BUDGET_LONGEST_TICKS);
}

/* Once, in the constructor.  is_explicit: the user named the bound. */
void budget_init(uint32_t max_cpu_ppm, bool is_explicit);

/*
 * How many times the interval asked for is to be doubled from now on; asked once
 * a second while sampling goes on (control_budget).  anew: somebody has just
 * asked for that interval, what was before does not count.
 */
uint32_t budget_doublings(uint32_t sample_bytes, bool anew);

/*
 * The same for the tables' room alone, into *doublings: it costs a few loads, and is asked
 * often while they fill (control_room).  True: one of them is more than half full.
 */
bool budget_look_at_room(uint32_t sample_bytes, uint32_t *doublings);

/* The judgement alone: from the doublings so far, the share spent, the bound. */
uint32_t budget_judge_cpu(uint32_t doublings, uint64_t cpu_ppm, uint64_t max_cpu_ppm);
/* The doublings that tables of this size, filled so far, ask for; up at once, down when a
 * sixteenth has become free, so that it does not go up and down at one block's coming and going. */
uint32_t budget_judge_room(uint32_t doublings, uint64_t used, uint64_t total);

struct budget_state {
	uint64_t cpu_ppm;      /* recording, in the last whole second that was looked at */
	uint64_t free_cpu_ppm; /* the same of freeing sampled blocks */
	uint64_t cpu_ns;       /* spent on both since the shim started */
	uint64_t max_cpu_ppm;  /* 0: no bound, the interval is 1 */
	bool is_cpu, is_room;  /* what the interval is doubled for */
	bool is_coarsest;      /* and would be doubled further, were that of any use */
};
struct budget_state budget_get(void);

#endif
