/*
 * Bounds the cost of recording, and measures it.
 *
 * There are two bounds: the processor time that recording takes (CGOHEAP_MAX_CPU, a share of one
 * core), measured around every recorded sample (at an interval of 1, around one in
 * BUDGET_ONE_IN, which counts for all of them), and the room in the tables. When one is reached,
 * the sample interval doubles as often as needed. It halves again when load falls. Estimates get
 * coarser, but nothing recorded is lost or biased, because each block keeps the interval at
 * which it was sampled.
 *
 * Only costs that a longer interval reduces count. The cost of freeing sampled blocks depends on
 * how many there already are, so it is measured separately and does not raise the interval.
 *
 * To keep profiles useful, the interval never exceeds BUDGET_COARSEST_BYTES (or the requested
 * interval if that is larger). If a bound is still exceeded there, the status and the profile
 * say so. CGOHEAP_MAX_CPU is enforced at any interval only if the user set it.
 *
 * Who frees is captured for some frees only (frees.h): for fewer, where that takes more than its
 * share of the processor time, at any interval.
 *
 * An interval of 1 promises exact figures. It is kept at any cost unless CGOHEAP_MAX_CPU is also
 * set.
 */
#ifndef CGOHEAP_BUDGET_H
#define CGOHEAP_BUDGET_H

#include "base/arch.h"
#include "base/base.h"

#define BUDGET_PPM 1000000u /* of one core */

#define BUDGET_COARSEST_BYTES (8u << 20)

/* Clock ticks spent by all threads; both only grow. */
extern struct budget_spent {
	uint64_t recording; /* allocations: depends on the interval */
	uint64_t freeing;   /* sampled blocks */
	uint64_t freers;    /* capturing who frees: depends on frees_doublings */
} budget_spent;

/*
 * A record that took longer was interrupted by another thread, so the excess is not counted. 0.1
 * to 0.3 ms, depending on the clock.
 */
#define BUDGET_LONGEST_TICKS (UINT64_C(1) << 18)

/*
 * Reading the clock twice costs as much as eighty other instructions: too much where every
 * allocation is a sample.
 */
#define BUDGET_ONE_IN 16u

extern __thread uint32_t budget_turn
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Whether it is this thread's turn to measure: spread evenly, but in no short period. */
static inline bool budget_is_turn(void)
{
	uint32_t turn = LOAD(&budget_turn) + UINT32_C(0x9E3779B9);

	STORE(&budget_turn, turn);
	return turn < UINT32_MAX / BUDGET_ONE_IN;
}

/* is_exact: every allocation is recorded. Returns what budget_end needs; 0: not measured. */
static inline uint64_t budget_begin(bool is_exact)
{
	return is_exact && likely(!budget_is_turn()) ? 0 : arch_ticks();
}

static inline void budget_end(uint64_t *spent, uint64_t begun, bool is_exact)
{
	uint64_t took;

	if (likely(!begun))
		return;
	took = arch_ticks() - begun;
	took = took < BUDGET_LONGEST_TICKS ? took : BUDGET_LONGEST_TICKS;
	ADD(spent, is_exact ? took * BUDGET_ONE_IN : took);
}

/* Call once, in the constructor. is_explicit: the user set the bound. */
void budget_init(uint32_t max_cpu_ppm, bool is_explicit);

/*
 * How many times to double the requested interval from now on. control asks once a second
 * while sampling. restarted: that interval was just requested, so earlier measurements do not
 * count.
 */
uint32_t budget_doublings(uint32_t sample_bytes, bool restarted);

/*
 * The same for the tables' room alone, into *doublings. It costs a few loads, so control
 * asks often while the tables fill. Returns true while a table is more than half full.
 */
bool budget_look_at_room(uint32_t sample_bytes, uint32_t *doublings);

/* Computes the new doublings from the current ones, the share spent and the bound. */
uint32_t budget_judge_cpu(uint32_t doublings, uint64_t cpu_ppm, uint64_t max_cpu_ppm);
/* Computes the doublings for tables this full. They rise at once, but fall only after a
 * sixteenth has become free, so that one block coming and going does not make them oscillate. */
uint32_t budget_judge_room(uint32_t doublings, uint64_t used, uint64_t total);

struct budget_state {
	uint64_t cpu_ppm;      /* recording, in the last whole second measured */
	uint64_t free_cpu_ppm; /* freeing sampled blocks and capturing who frees, in the same second
				*/
	uint64_t cpu_ns;       /* spent on both since the shim started */
	uint64_t max_cpu_ppm;  /* 0: no bound, because the interval is 1 */
	bool is_cpu, is_room;  /* why the interval is doubled */
	bool is_coarsest;      /* at the coarsest interval, and a bound is still exceeded */
};
struct budget_state budget_get(void);

#endif
