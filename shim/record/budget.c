/*
 * The processor's tick counter is both the stopwatch and the wall clock, so their quotient needs
 * no calibration. It also counts while a thread is preempted, so one record counts for at most
 * BUDGET_LONGEST_TICKS.
 */
#include "record/budget.h"

#include "base/clock.h"
#include "region/cells.h"
#include "record/frees.h"
#include "record/live.h"

/* Halving the interval doubles the cost, so it is halved only if the cost then stays at half
 * of the bound. */
#define CALM 4
/* Capturing who frees may take this part of the bound. */
#define FREERS_SHARE 4
/* Further doublings have no effect: any interval is then at its maximum. */
#define MOST_DOUBLINGS 30

struct budget_spent budget_spent;

__thread uint32_t budget_turn __attribute__((tls_model("initial-exec"), visibility("hidden")));

static struct {
	uint64_t max_cpu_ppm;
	bool is_explicit;
	uint32_t asked; /* the interval last judged */
	uint32_t cpu, room;
	bool cpu_is_more, room_is_more; /* more than they ask for */
	uint64_t cpu_ppm, free_cpu_ppm;
	uint64_t ticks; /* at the last measurement */
	struct budget_spent spent;
	uint64_t first_ticks, first_ns; /* at the start */
} budget;

void budget_init(uint32_t max_cpu_ppm, bool is_explicit)
{
	budget.max_cpu_ppm = max_cpu_ppm;
	budget.is_explicit = is_explicit;
	budget.first_ticks = budget.ticks = arch_ticks();
	budget.first_ns = clock_monotonic_ns();
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
 * One doubling from three quarters on, two from seven eighths, and so on: each step halves the
 * rate at which the rest fills, so it is never used up.
 */
static uint32_t room_wanted(uint64_t used, uint64_t total)
{
	uint64_t left = used < total ? total - used : 0;
	uint32_t doublings = 0;

	for (; left <= total / 4 && doublings < MOST_DOUBLINGS; total /= 2)
		doublings++;
	return doublings;
}

uint32_t budget_judge_room(uint32_t doublings, uint64_t used, uint64_t total)
{
	uint32_t now = room_wanted(used, total), calm = room_wanted(used + total / 16, total);

	return now > doublings ? now : calm < doublings ? calm : doublings;
}

/* ---- limits ----------------------------------------------------------- */

/* As many as keep the interval useful. */
static uint32_t most_doublings(uint32_t sample_bytes)
{
	uint32_t most = 0;

	while (most < MOST_DOUBLINGS &&
	       (uint64_t)sample_bytes << (most + 1) <= BUDGET_COARSEST_BYTES)
		most++;
	return most;
}

/* Puts as many of the wanted doublings into *doublings as allowed. Returns whether that is
 * fewer. */
static bool limit(uint32_t *doublings, uint32_t wanted, uint32_t most)
{
	STORE(doublings, wanted < most ? wanted : most);
	return wanted > most;
}

static void judge_tables(uint32_t sample_bytes)
{
	uint32_t live = budget_judge_room(budget.room, live_count(), live_capacity());
	uint32_t arena = budget_judge_room(budget.room, cells_used_bytes(), cells_total_bytes());

	budget.room_is_more =
		limit(&budget.room, live > arena ? live : arena, most_doublings(sample_bytes));
}

static void judge_freers(uint64_t cpu_ppm)
{
	limit(&frees_doublings,
	      budget_judge_cpu(frees_doublings, cpu_ppm, budget.max_cpu_ppm / FREERS_SHARE),
	      FREES_MOST_DOUBLINGS);
}

static void judge_cpu(uint32_t sample_bytes, uint64_t cpu_ppm)
{
	budget.cpu_is_more =
		limit(&budget.cpu, budget_judge_cpu(budget.cpu, cpu_ppm, budget.max_cpu_ppm),
		      budget.is_explicit ? MOST_DOUBLINGS : most_doublings(sample_bytes));
}

/* ---- measuring -------------------------------------------------------- */

static uint64_t share(uint64_t used, uint64_t elapsed)
{
	return (uint64_t)((unsigned __int128)used * BUDGET_PPM / elapsed);
}

/* The shares of one core since the last measurement. */
static void measure(void)
{
	uint64_t ticks = arch_ticks(), elapsed = ticks - budget.ticks;
	struct budget_spent before = budget.spent;

	budget.ticks = ticks;
	budget.spent.recording = LOAD(&budget_spent.recording);
	budget.spent.freeing = LOAD(&budget_spent.freeing);
	budget.spent.freers = LOAD(&budget_spent.freers);
	if (!elapsed ||
	    elapsed > UINT64_MAX / 2) { /* the counter went backwards: the machine was migrated */
		before = budget.spent;
		elapsed = 1;
	}
	STORE(&budget.cpu_ppm, share(budget.spent.recording - before.recording, elapsed));
	uint64_t freers = budget.spent.freers - before.freers;
	STORE(&budget.free_cpu_ppm, share(budget.spent.freeing - before.freeing + freers, elapsed));
	judge_freers(share(freers, elapsed));
}

static bool is_exact(uint32_t sample_bytes)
{
	return sample_bytes == 1 && !budget.is_explicit;
}

uint32_t budget_doublings(uint32_t sample_bytes, bool restarted)
{
	uint64_t cpu_ppm = budget.cpu_ppm;

	measure();
	STORE(&budget.asked, sample_bytes);
	if (restarted || is_exact(sample_bytes)) {
		STORE(&budget.cpu, 0);
		STORE(&budget.room, 0);
		budget.cpu_is_more = budget.room_is_more = false;
	}
	if (restarted) { /* the measurement belongs to the previous interval */
		STORE(&budget.cpu_ppm, cpu_ppm);
		return 0;
	}
	if (!is_exact(sample_bytes)) {
		judge_cpu(sample_bytes, budget.cpu_ppm);
		if (sample_bytes > 1)
			judge_tables(sample_bytes);
	}
	return budget.cpu > budget.room ? budget.cpu : budget.room;
}

/* Above this a burst could use up the rest within the second until the next check. */
static bool tables_are_filling(void)
{
	return live_count() > live_capacity() / 2 || cells_used_bytes() > cells_total_bytes() / 2;
}

bool budget_look_at_room(uint32_t sample_bytes, uint32_t *doublings)
{
	if (sample_bytes <= 1) /* exact figures were promised; or, with an explicit bound,
				* nothing to double */
		return false;
	judge_tables(sample_bytes);
	*doublings = budget.cpu > budget.room ? budget.cpu : budget.room;
	return tables_are_filling();
}

static uint64_t spent_ns(void)
{
	uint64_t ticks = arch_ticks() - budget.first_ticks;
	uint64_t ns = clock_monotonic_ns() - budget.first_ns;

	uint64_t spent = LOAD(&budget_spent.recording) + LOAD(&budget_spent.freeing) +
			 LOAD(&budget_spent.freers);

	return ticks ? (uint64_t)((unsigned __int128)spent * ns / ticks) : 0;
}

struct budget_state budget_get(void)
{
	uint32_t cpu = LOAD(&budget.cpu), room = LOAD(&budget.room);

	return (struct budget_state){
		.cpu_ppm = LOAD(&budget.cpu_ppm),
		.free_cpu_ppm = LOAD(&budget.free_cpu_ppm),
		.cpu_ns = spent_ns(),
		.max_cpu_ppm = is_exact(LOAD(&budget.asked)) ? 0 : budget.max_cpu_ppm,
		.is_cpu = cpu && cpu >= room,
		.is_room = room && room >= cpu,
		.is_coarsest = budget.cpu_is_more || budget.room_is_more,
	};
}
