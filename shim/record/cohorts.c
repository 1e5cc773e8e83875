/*
 * Marks and rows: see cohorts.h.
 *
 * A mark counts as soon as its tick is not 0, and a row as soon as its stack is not: each is
 * cleared first and stored last, because a fork may copy this thread between any two stores.
 */
#include "record/cohorts.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/work.h"
#include "record/cohorts_table.h"
#include "record/control.h"
#include "record/live.h"

#define SECOND_TICKS (UINT64_C(1000000000) / LIVE_TICK_NS)
#define MARK_TICKS   (5 * SECOND_TICKS)

/* Sampling turned on or off makes a mark too, but not every time if that is often. */
#define CHANGE_TICKS SECOND_TICKS

/*
 * A mark that took longer is of no moment, and is not kept: on a machine that is overloaded, this
 * thread may lose the processor in the middle of one.
 */
#define LONGEST_NS UINT64_C(500000000)

/* A mark again after so many times the processor time of the last: 0.5 % of a core. */
#define REST 200

/* Rows that may be given to other stacks at one mark. */
#define MOST_PICKS 64

static struct {
	uint64_t next_ns;
	uint64_t rest_ns;   /* at least, between two marks */
	uint64_t last_tick; /* of the last mark */
	bool was_on;
} cohorts;

static inline void in_this_order(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* ---- one stack ---------------------------------------------------------- */

/* More than a stack has, so that a list that a wild write of the host turned into a ring ends. */
#define MOST_SITES 1024

/* Sites are pushed at the head of their list, so the last one is the first that was made. */
struct cohorts_totals cohorts_totals(uint32_t stack)
{
	struct cohorts_totals sum = {0};
	uint32_t id = LOAD_ACQ(&stack_at(stack)->first_site);

	for (int left = MOST_SITES; id && left; left--) {
		const struct site *s = site_at(id);
		uint64_t freed = LOAD_ACQ(&s->free_bytes_fx);
		struct site_allocated all = site_allocated(s);
		sum.bytes_fx += (uint64_t)all.bytes_fx;
		sum.objects_fx += (uint64_t)all.objects_fx;
		sum.inuse_bytes_fx += (uint64_t)all.bytes_fx - freed;
		sum.born = s->born;
		id = LOAD(&s->next);
	}
	return sum;
}

/* ---- the index ---------------------------------------------------------- */

static uint32_t *index_place(const struct cohorts_table *t, uint32_t stack)
{
	uint32_t at = (uint32_t)(hash_spread(stack) >> 32);

	for (uint32_t i = 0; i < t->mask; i++, at++) {
		uint32_t row = t->index[at & t->mask] - 1;
		if (row >= t->rows || cohorts_row(t, row)->stack == stack)
			break;
	}
	return &t->index[at & t->mask];
}

void cohorts_index(const struct cohorts_table *t)
{
	memset(t->index, 0, ((size_t)t->mask + 1) * sizeof(*t->index));
	for (uint32_t row = 0; row < t->rows; row++)
		if (cohorts_row(t, row)->stack)
			*index_place(t, cohorts_row(t, row)->stack) = row + 1;
}

uint32_t cohorts_find(const struct cohorts_table *t, uint32_t stack, uint64_t born)
{
	uint32_t row = *index_place(t, stack) - 1;

	if (row >= t->rows || cohorts_row(t, row)->stack != stack ||
	    cohorts_row(t, row)->born != born)
		return UINT32_MAX;
	return row;
}

/* ---- marks --------------------------------------------------------------- */

uint32_t cohorts_order(const struct cohorts_table *t, uint32_t order[COHORTS_MARKS])
{
	const struct cohorts_mark *marks = t->head->marks;
	uint32_t count = 0;

	for (uint32_t i = 0; i < COHORTS_MARKS; i++) {
		uint32_t at = count;
		if (!marks[i].tick)
			continue;
		for (; at && marks[order[at - 1]].tick > marks[i].tick; at--)
			order[at] = order[at - 1];
		order[at] = i;
		count++;
	}
	return count;
}

/* How long an interval may be that ends at this age. */
static uint64_t most_ticks(uint64_t age)
{
	uint64_t hour = 3600 * SECOND_TICKS;

	if (age < 60 * SECOND_TICKS)
		return MARK_TICKS;
	if (age < 600 * SECOND_TICKS)
		return 60 * SECOND_TICKS;
	if (age < hour)
		return 300 * SECOND_TICKS;
	while (hour <= age / 2)
		hour *= 2;
	return hour;
}

/* Of the marks in one period of that length, the last is kept: periods begin with the library. */
static bool is_kept(uint64_t tick, uint64_t newer, uint64_t now)
{
	uint64_t period = most_ticks(now - newer);

	return (tick + period - 1) / period != (newer + period - 1) / period;
}

/* Returns a free place for a mark. If there is none, the oldest interval grows. */
static uint32_t thin(const struct cohorts_table *t, uint64_t now)
{
	struct cohorts_mark *marks = t->head->marks;
	uint32_t order[COHORTS_MARKS], count = cohorts_order(t, order), place = 0;

	for (uint32_t i = 0; i + 1 < count; i++)
		if (!is_kept(marks[order[i]].tick, marks[order[i + 1]].tick, now))
			marks[order[i]].tick = 0;
	if (cohorts_order(t, order) == COHORTS_MARKS)
		marks[order[0]].tick = 0;
	while (place + 1 < COHORTS_MARKS && marks[place].tick)
		place++;
	return place;
}

/* ---- rows ---------------------------------------------------------------- */

/* A short list by key, the smallest first. */
struct picks {
	struct pick {
		uint64_t key;
		uint32_t id;
	} list[MOST_PICKS];
	uint32_t count;
};

static void pick(struct picks *p, uint64_t key, uint32_t id)
{
	uint32_t at = p->count;

	if (at == MOST_PICKS && p->list[--at].key <= key)
		return;
	for (; at && p->list[at - 1].key > key; at--)
		p->list[at] = p->list[at - 1];
	p->list[at] = (struct pick){key, id};
	p->count += p->count < MOST_PICKS;
}

/* One mark in the making. */
struct marking {
	struct cohorts_table table;
	uint32_t mark;      /* its place */
	uint32_t tick;      /* its time */
	uint32_t next_row;  /* rows below it are in use */
	uint32_t without;   /* stacks without a row */
	struct picks picks; /* of them, by what they have in use; the most first */
};

static void write_cell(const struct marking *m, uint32_t row, const struct cohorts_totals *now)
{
	*cohorts_cell(&m->table, row, m->mark) =
		(struct cohorts_cell){now->bytes_fx, now->objects_fx};
}

/* Frees the rows of stacks that were reclaimed. */
static void write_cells(struct marking *m)
{
	for (uint32_t row = 0; row < m->table.rows; row++) {
		struct cohorts_row *r = cohorts_row(&m->table, row);
		if (!r->stack)
			continue;
		struct cohorts_totals now = cohorts_totals(r->stack);
		if (now.born == r->born)
			write_cell(m, row, &now);
		else
			r->stack = 0;
	}
}

/* Nothing had been allocated at a new stack by earlier marks. */
static void give_row(struct marking *m, uint32_t row, uint32_t stack,
		     const struct cohorts_totals *now)
{
	struct cohorts_row *r = cohorts_row(&m->table, row);

	r->stack = 0;
	in_this_order();
	for (uint32_t i = 0; i < COHORTS_MARKS; i++)
		if (m->table.head->marks[i].tick)
			*cohorts_cell(&m->table, row, i) = (struct cohorts_cell){0};
	write_cell(m, row, now);
	r->born = now->born;
	r->since = now->born > m->table.head->latest_born ? 0 : m->tick;
	in_this_order();
	r->stack = stack;
}

static void look_at_stack(uint32_t stack, void *arg)
{
	struct marking *m = arg;
	struct cohorts_totals now = cohorts_totals(stack);

	if (!now.born || stack_is_lasting(stack_at(stack)) ||
	    cohorts_find(&m->table, stack, now.born) != UINT32_MAX)
		return;
	while (m->next_row < m->table.rows && cohorts_row(&m->table, m->next_row)->stack)
		m->next_row++;
	if (m->next_row < m->table.rows) {
		give_row(m, m->next_row++, stack, &now);
		return;
	}
	m->without++;
	pick(&m->picks, ~now.inuse_bytes_fx, stack);
}

static void give_to_larger(struct marking *m)
{
	struct picks least = {0};

	for (uint32_t row = 0; row < m->table.rows; row++)
		pick(&least, cohorts_totals(cohorts_row(&m->table, row)->stack).inuse_bytes_fx,
		     row);
	for (uint32_t i = 0; i < m->picks.count && i < least.count; i++) {
		uint32_t stack = m->picks.list[i].id;
		struct cohorts_totals now = cohorts_totals(stack);
		if (now.inuse_bytes_fx / 2 <= least.list[i].key)
			break;
		give_row(m, least.list[i].id, stack, &now);
		m->table.head->evicted++;
	}
}

static void make_mark(uint32_t tick, uint64_t off_ns, uint64_t begun_ns)
{
	struct marking m = {.table = cohorts_table(), .tick = tick};
	struct cohorts_head *head = m.table.head;
	uint64_t born = stacks_latest_born();

	m.mark = thin(&m.table, tick);
	in_this_order();
	write_cells(&m);
	if (born != head->latest_born || head->without) {
		cohorts_index(&m.table);
		stacks_each(look_at_stack, &m);
		if (m.picks.count)
			give_to_larger(&m);
	}
	head->without = m.without;
	if (clock_monotonic_ns() - begun_ns > LONGEST_NS)
		return;
	head->marks[m.mark].off_ns = off_ns;
	in_this_order();
	head->marks[m.mark].tick = tick;
	head->latest_born = born;
}

/* ---- when ---------------------------------------------------------------- */

/* The end of a tick that is nearest, by the clock of the hooks (live_tick_now). */
static uint64_t nearest_tick(uint64_t now_ns)
{
	uint64_t since = now_ns - region_layout.start_monotonic_ns;

	return (since + CLOCK_COARSE_LAG_NS / 2 + LIVE_TICK_NS / 2) / LIVE_TICK_NS;
}

/* The next multiple of 5 s since the library started, which control wakes the server at. */
static uint64_t next_mark_ns(uint64_t now_ns)
{
	uint64_t every = MARK_TICKS * LIVE_TICK_NS, start = region_layout.start_monotonic_ns;
	uint64_t earliest = now_ns + every / 2;

	if (earliest < now_ns + cohorts.rest_ns)
		earliest = now_ns + cohorts.rest_ns;
	return start + ((earliest - start) / every + 1) * every;
}

/* Whether it is time: sampling, or turned on or off. The first mark can wait for its time. */
static bool is_due(bool on, uint64_t tick, uint64_t now_ns)
{
	bool has_changed = on != cohorts.was_on;

	cohorts.was_on = on;
	if (has_changed || !cohorts.next_ns)
		return tick >= cohorts.last_tick + CHANGE_TICKS;
	return on && now_ns >= cohorts.next_ns && tick > cohorts.last_tick;
}

uint64_t cohorts_tick(void)
{
	uint64_t now_ns = clock_monotonic_ns(), cpu_ns = work_cpu_ns(), tick;
	struct control_state sampling = control_get();

	if (!region || now_ns < region_layout.start_monotonic_ns)
		return UINT64_MAX;
	tick = nearest_tick(now_ns);
	if (is_due(sampling.on, tick, now_ns) && tick <= UINT32_MAX) {
		make_mark((uint32_t)tick, sampling.off_ns, now_ns);
		cohorts.last_tick = tick;
		cohorts.rest_ns = (work_cpu_ns() - cpu_ns) * REST;
	}
	if (!sampling.on)
		return UINT64_MAX;
	if (now_ns >= cohorts.next_ns)
		cohorts.next_ns = next_mark_ns(now_ns);
	return cohorts.next_ns - now_ns;
}

struct cohorts_counters cohorts_counters(void)
{
	struct cohorts_table t = cohorts_table();
	uint32_t order[COHORTS_MARKS];
	struct cohorts_counters c = {.marks = cohorts_order(&t, order),
				     .room = t.rows,
				     .without = t.head->without,
				     .evicted = t.head->evicted};

	for (uint32_t row = 0; row < t.rows; row++)
		c.rows += cohorts_row(&t, row)->stack != 0;
	return c;
}
