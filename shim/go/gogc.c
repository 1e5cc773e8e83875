/*
 * See gogc.h.  Layouts: runtime/mgcpacer.go (gcControllerState), runtime/mstats.go (mstats),
 * runtime/mgc.go (work), runtime/mfinal.go (fingStatus).
 */
#include "go/gogc.h"

#include <string.h>

#include "base/clock.h"
#include "base/pagemap.h"
#include "base/selfmem.h"
#include "go/bridge.h"
#include "go/govars.h"

/* Above this, a goal or a limit is none. */
#define NO_BYTES (UINT64_C(1) << 60)

/* Times may differ this much between two clocks that are read one after the other. */
#define CLOCKS_NS UINT64_C(1000000000)

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- when it ran: runtime.memstats and runtime.work ------------------------ */

#define PAUSES 256

/* runtime.mstats, from last_gc_unix on. */
struct memstats {
	uint64_t last_gc_unix, pause_total_ns, pause_ns[PAUSES], pause_end[PAUSES];
	uint32_t cycles, forced;
	double cpu_share;
	uint64_t last_gc_monotonic;
};

static uint64_t memstats_offset(unsigned release)
{
	return release >= 25 ? 0xdf0 : 0xe08;
}

/* All of it is stored while the world is stopped, so what disagrees was read meanwhile. */
static bool agrees(const struct memstats *m, uint64_t now_ns, uint64_t unix_ns)
{
	if (m->cycles == 0)
		return m->last_gc_unix == 0 && m->pause_total_ns == 0;
	return m->last_gc_unix == m->pause_end[(m->cycles - 1) % PAUSES] &&
	       m->last_gc_monotonic != 0 && m->last_gc_monotonic <= now_ns &&
	       m->last_gc_unix < unix_ns + CLOCKS_NS;
}

/* The words searched for work.tEnd: the structure's size differs by release and processor. */
#define WORK_WORDS 128

/*
 * When the collection that ended at ended_ns began: before tEnd stand tSweepTerm, tMark and
 * tMarkTerm.  UNKNOWN while the next one is under way, which has a new tSweepTerm.
 */
static uint64_t began_of(uint64_t work, uint64_t ended_ns)
{
	uint64_t words[WORK_WORDS];
	size_t count = selfmem_copy(work, words, sizeof(words)) / sizeof(*words);
	for (size_t i = 3; i < count; i++) {
		const uint64_t *t = &words[i - 3];
		if (t[3] == ended_ns && t[0] != 0 && t[0] <= t[1] && t[1] <= t[2] && t[2] <= t[3])
			return t[0];
	}
	return UNKNOWN;
}

/* The variables' pages may not be touched yet, before the first collection for example. */
static void read_times(struct scratch *scratch, struct gogc *out)
{
	uint64_t address = govars_address(scratch, GOVARS_MEMSTATS);
	uint64_t work = govars_address(scratch, GOVARS_WORK);
	bool is_there = address != 0;
	struct scratch part = scratch_part(scratch);
	struct memstats *m = scratch_alloc(&part, sizeof(*m));
	address += memstats_offset(govars_release());
	if (m && is_there && selfmem_copy(address, m, sizeof(*m)) == sizeof(*m) &&
	    agrees(m, clock_monotonic_ns(), clock_ns(CLOCK_REALTIME))) {
		out->cycles = m->cycles;
		out->ended_unix_ns = m->last_gc_unix;
		out->ended_ns = m->last_gc_monotonic;
		if (work && m->cycles)
			out->began_ns = began_of(work, m->last_gc_monotonic);
		uint64_t before = m->pause_end[(m->cycles - 2) % PAUSES];
		uint64_t between_ns = m->last_gc_unix - before;
		if (out->began_ns == UNKNOWN && m->cycles > 1 && before <= m->last_gc_unix &&
		    between_ns <= m->last_gc_monotonic)
			out->began_ns = m->last_gc_monotonic - between_ns;
	}
	scratch_release(&part);
}

/* ---- when it runs next: runtime.gcController ------------------------------- */

/* Up to heapMarked; then from heapInUse on. */
struct controller {
	int32_t percent;
	uint32_t align;
	uint64_t memory_limit, others[7];
	uint64_t percent_goal, sweep_trigger, triggered, last_goal, heap_live, more[5], heap_marked;
	uint64_t rest[14];
	uint64_t heap_in_use, heap_released, heap_free, total_alloc, total_free, mapped_ready;
};
_Static_assert(offsetof(struct controller, percent_goal) == 0x48, "");
_Static_assert(offsetof(struct controller, heap_marked) == 0x98, "");
_Static_assert(offsetof(struct controller, heap_in_use) == 0x110, "");

#define RUNWAY_BYTES   (64 * KIB) /* minRunway */
#define HEADROOM_BYTES MIB        /* memoryLimitMinHeapGoalHeadroom */
#define HEADROOM_SHARE 3          /* of 100: memoryLimitHeapGoalHeadroomPercent */

/* gcControllerState.memoryLimitHeapGoal. */
static uint64_t limit_goal(const struct controller *c)
{
	uint64_t objects = c->total_alloc - c->total_free;
	uint64_t other = c->mapped_ready - lower(c->mapped_ready, c->heap_free + objects);
	uint64_t over = c->mapped_ready - lower(c->mapped_ready, c->memory_limit);
	if (other + over >= c->memory_limit)
		return c->heap_marked;
	uint64_t goal = c->memory_limit - (other + over);
	uint64_t headroom = goal / 100 * HEADROOM_SHARE;
	if (headroom < HEADROOM_BYTES)
		headroom = HEADROOM_BYTES;
	goal = goal < 2 * headroom ? headroom : goal - headroom;
	return goal < c->heap_marked ? c->heap_marked : goal;
}

/* gcControllerState.heapGoalInternal. */
static uint64_t goal_of(const struct controller *c)
{
	uint64_t goal = c->percent_goal, by_limit = limit_goal(c);
	if (by_limit < goal)
		return by_limit;
	if (c->sweep_trigger > goal)
		goal = c->sweep_trigger;
	if (c->triggered != UINT64_MAX && goal < c->triggered + RUNWAY_BYTES)
		goal = c->triggered + RUNWAY_BYTES;
	return goal;
}

static bool is_plausible(const struct controller *c)
{
	return c->percent >= -1 && c->memory_limit <= INT64_MAX && c->heap_live < NO_BYTES &&
	       c->heap_marked < NO_BYTES && c->mapped_ready < NO_BYTES &&
	       c->heap_in_use < NO_BYTES && c->heap_free < NO_BYTES &&
	       c->total_alloc >= c->total_free && c->percent_goal != 0;
}

static void read_pace(struct scratch *scratch, struct gogc *out)
{
	struct controller c;
	uint64_t address = govars_address(scratch, GOVARS_GC_CONTROLLER);
	if (!address || selfmem_copy(address, &c, sizeof(c)) != sizeof(c) || !is_plausible(&c))
		return;
	out->percent = c.percent < 0 ? GOGC_OFF : (uint64_t)c.percent;
	out->memory_limit = c.memory_limit;
	out->heap_bytes = c.heap_live;
	out->live_bytes = c.heap_marked;
	out->goal_bytes = goal_of(&c);
}

/* ---- finalizers: runtime.fingStatus ----------------------------------------- */

enum { FING_CREATED = 1, FING_RUNNING = 2, FING_WAIT = 4, FING_WAKE = 8 };

static void read_finalizers(struct scratch *scratch, struct gogc *out)
{
	uint32_t status;
	uint64_t address = govars_address(scratch, GOVARS_FING_STATUS);
	if (address && selfmem_copy(address, &status, sizeof(status)) == sizeof(status) &&
	    status <= (FING_CREATED | FING_RUNNING | FING_WAIT | FING_WAKE))
		out->is_finalizing = (status & FING_RUNNING) != 0;
}

/* ---- the Go package ---------------------------------------------------------- */

static void prefer(uint64_t *figure, uint64_t told)
{
	if (told != UNKNOWN)
		*figure = told;
}

/* UNKNOWN if either is; both are counted on, so one may be read a little later. */
static uint64_t waiting(uint64_t queued, uint64_t executed)
{
	if (queued == UNKNOWN || executed == UNKNOWN)
		return UNKNOWN;
	return queued - lower(queued, executed);
}

/* On the monotonic clock.  Also UNKNOWN if it is no time since the machine started. */
static uint64_t monotonic_of(uint64_t unix_ns)
{
	uint64_t now_unix_ns = clock_ns(CLOCK_REALTIME), now_ns = clock_monotonic_ns();
	if (unix_ns == UNKNOWN || unix_ns > now_unix_ns || now_unix_ns - unix_ns > now_ns)
		return UNKNOWN;
	return now_ns - (now_unix_ns - unix_ns);
}

static void take_package(const uint64_t *package, struct gogc *out)
{
	prefer(&out->cycles, package[CGOHEAP_GO_GC_CYCLES]);
	prefer(&out->ended_unix_ns, package[CGOHEAP_GO_LAST_GC]);
	prefer(&out->goal_bytes, package[CGOHEAP_GO_HEAP_GOAL]);
	if (out->heap_bytes == UNKNOWN)
		out->heap_bytes = package[CGOHEAP_GO_HEAP_OBJECTS];
	prefer(&out->live_bytes, package[CGOHEAP_GO_HEAP_LIVE]);
	prefer(&out->percent, package[CGOHEAP_GO_GC_PERCENT]);
	prefer(&out->memory_limit, package[CGOHEAP_GO_MEMORY_LIMIT]);
	out->finalizers_waiting = waiting(package[CGOHEAP_GO_FINALIZERS_QUEUED],
					  package[CGOHEAP_GO_FINALIZERS_EXECUTED]);
	out->cleanups_waiting =
		waiting(package[CGOHEAP_GO_CLEANUPS_QUEUED], package[CGOHEAP_GO_CLEANUPS_EXECUTED]);
	if (out->began_ns == UNKNOWN)
		out->began_ns = monotonic_of(package[CGOHEAP_GO_GC_BEFORE_LAST]);
	if (out->ended_ns == UNKNOWN)
		out->ended_ns = monotonic_of(package[CGOHEAP_GO_LAST_GC]);
}

void gogc_read(struct scratch *scratch, const uint64_t *package, struct gogc *out)
{
	memset(out, 0xff, sizeof(*out)); /* UNKNOWN */
	if (govars_release()) {
		read_times(scratch, out);
		read_pace(scratch, out);
		read_finalizers(scratch, out);
	}
	take_package(package, out);
	if (out->cycles == 0)
		out->ended_ns = 0; /* all is newer */
	if (out->goal_bytes >= NO_BYTES)
		out->goal_bytes = UNKNOWN;
	if (out->memory_limit >= NO_BYTES)
		out->memory_limit = UNKNOWN;
}
