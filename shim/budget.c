/*
 * The processor's tick counter is both the stopwatch and the wall clock, so that
 * their quotient needs no calibration.  It counts on while a thread is
 * preempted; that is why one record counts for BUDGET_LONGEST_TICKS at most.
 */
#include "budget.h"

#include "control.h"
#include "live.h"
#include "region.h"

/* Halving doubles the cost: only where it stays at half of the bound. */
#define CALM 4
/* Beyond this any interval is at its largest. */
#define MOST_DOUBLINGS 30

uint64_t budget_spent;

static struct {
	uint64_t max_cpu_ppm;
	bool is_explicit;
	uint32_t asked; /* the interval that was judged last */
	uint32_t cpu, room;
	uint64_t cpu_ppm;
	uint64_t ticks, spent;          /* at the last look */
	uint64_t first_ticks, first_ns; /* at the start */
} budget;

void budget_init(uint32_t max_cpu_ppm, bool is_explicit)
{
	budget.max_cpu_ppm = max_cpu_ppm;
	budget.is_explicit = is_explicit;
	budget.first_ticks = budget.ticks = arch_ticks();
	budget.first_ns = control_monotonic_ns();
}

uint32_t budget_judge_cpu(uint32_t doublings, uint64_t cpu_ppm, uint64_t max_cpu_ppm)
{
	if (doublings && cpu_ppm * CALM <= max_cpu_ppm)
		return doublings - 1;
	for (; cpu_ppm > max_cpu_ppm && doublings < MOST_DOUBLINGS; cpu_ppm /= 2)
		doublings++;
	return doublings;
}

/*
 * One from three quarters on, two from seven eighths, and so on: what is left
 * fills half as fast as before, so that it is never used up.
 */
uint32_t budget_judge_room(uint64_t used, uint64_t total)
{
	uint64_t left = used < total ? total - used : 0;
	uint32_t doublings = 0;

	for (; left <= total / 4 && doublings < MOST_DOUBLINGS; total /= 2)
		doublings++;
	return doublings;
}

static uint32_t judge_tables(void)
{
	uint32_t live = budget_judge_room(live_count(), live_capacity());
	uint32_t arena =
		budget_judge_room(LOAD(&region_layout.arena_used), region_layout.arena.bytes);

	return live > arena ? live : arena;
}

/* The share of one core since the last look. */
static uint64_t measure(void)
{
	uint64_t ticks = arch_ticks(), spent = LOAD(&budget_spent);
	uint64_t elapsed = ticks - budget.ticks, used = spent - budget.spent;

	budget.ticks = ticks;
	budget.spent = spent;
	if (!elapsed || elapsed > UINT64_MAX / 2) /* the counter went backwards: a machine moved */
		return 0;
	return (uint64_t)((unsigned __int128)used * BUDGET_PPM / elapsed);
}

static bool is_exact(uint32_t sample_bytes)
{
	return sample_bytes == 1 && !budget.is_explicit;
}

uint32_t budget_doublings(uint32_t sample_bytes, bool anew)
{
	uint64_t cpu_ppm = measure();

	STORE(&budget.asked, sample_bytes);
	if (anew || is_exact(sample_bytes)) {
		STORE(&budget.cpu, 0);
		STORE(&budget.room, 0);
	}
	if (anew)
		return 0; /* the measure is of what was before */
	STORE(&budget.cpu_ppm, cpu_ppm);
	if (!is_exact(sample_bytes)) {
		STORE(&budget.cpu, budget_judge_cpu(budget.cpu, cpu_ppm, budget.max_cpu_ppm));
		if (sample_bytes > 1)
			STORE(&budget.room, judge_tables());
	}
	return budget.cpu > budget.room ? budget.cpu : budget.room;
}

/* From here on a burst may fill what is left within the second to the next look. */
static bool tables_are_filling(void)
{
	return live_count() > live_capacity() / 2 ||
	       LOAD(&region_layout.arena_used) > region_layout.arena.bytes / 2;
}

bool budget_look_at_room(uint32_t sample_bytes, uint32_t *doublings)
{
	if (sample_bytes <= 1) /* a promise; or, with a bound that was named, nothing to double */
		return false;
	STORE(&budget.room, judge_tables());
	*doublings = budget.cpu > budget.room ? budget.cpu : budget.room;
	return tables_are_filling();
}

static uint64_t spent_ns(void)
{
	uint64_t ticks = arch_ticks() - budget.first_ticks;
	uint64_t ns = control_monotonic_ns() - budget.first_ns;

	return ticks ? (uint64_t)((unsigned __int128)LOAD(&budget_spent) * ns / ticks) : 0;
}

struct budget_state budget_get(void)
{
	uint32_t cpu = LOAD(&budget.cpu), room = LOAD(&budget.room);

	return (struct budget_state){
		.cpu_ppm = LOAD(&budget.cpu_ppm),
		.cpu_ns = spent_ns(),
		.max_cpu_ppm = is_exact(LOAD(&budget.asked)) ? 0 : budget.max_cpu_ppm,
		.is_cpu = cpu && cpu >= room,
		.is_room = room && room >= cpu,
	};
}
