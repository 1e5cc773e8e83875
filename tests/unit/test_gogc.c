/*
 * The runtime's variables about its collector, defined here under their names: which values are
 * accepted.  tests/e2e has real programs of every release.
 */
#include "child.h"

#include <string.h>

#include "base/clock.h"
#include "base/pagemap.h"
#include "go/bridge.h"
#include "go/gogc.h"
#include "go/gomodules.h"
#include "go/gosym.h"

/* ---- a fake runtime ------------------------------------------------------- */

static const char *version = "go1.26.8";
static struct gomodule runtime = {.has_runtime = true};

uint32_t gomodules_count(void)
{
	return 1;
}

struct gomodule *gomodules_get(uint32_t index)
{
	(void)index;
	runtime.tables.text = (uint64_t)gomodules_count;
	return &runtime;
}

const char *gosym_version(void)
{
	return version;
}

/* runtime/mstats.go from Go 1.25 on; before, the same starts 0x18 bytes later. */
struct memstats {
	uint64_t others[0xdf0 / 8];
	uint64_t last_gc_unix, pause_total_ns, pause_ns[256], pause_end[256];
	uint32_t numgc, numforcedgc;
	double cpu_fraction;
	uint64_t last_gc_nanotime;
	uint64_t more[70];
};
extern struct memstats memstats __asm__("runtime.memstats");
struct memstats memstats;

/* runtime/mgc.go: the four times at the place of 1.26. */
struct work {
	uint64_t others[0x298 / 8];
	uint64_t sweep_term, mark, mark_term, end;
	uint64_t more[15];
};
extern struct work work __asm__("runtime.work");
struct work work;

/* runtime/mgcpacer.go, Go 1.21 to 1.27. */
struct controller {
	int32_t percent;
	uint64_t memory_limit, heap_minimum, others[6];
	uint64_t percent_goal, sweep_trigger, triggered, last_goal, heap_live, scan[5], heap_marked;
	uint64_t rest[14];
	uint64_t heap_in_use, heap_released, heap_free, total_alloc, total_free, mapped_ready;
	uint64_t after[10];
};
extern struct controller controller __asm__("runtime.gcController");
struct controller controller;

extern uint32_t fing_status __asm__("runtime.fingStatus");
uint32_t fing_status;

#define SECOND UINT64_C(1000000000)

/* Cycle `cycles` began 12 s ago and ended 10 s ago; the one before ended 60 s ago. */
static uint64_t now_ns, unix_ns;

static void good_figures(uint32_t cycles)
{
	now_ns = clock_monotonic_ns();
	unix_ns = clock_ns(CLOCK_REALTIME);
	memset(&memstats, 0, sizeof(memstats));
	memstats.numgc = cycles;
	memstats.pause_total_ns = 1;
	memstats.last_gc_unix = unix_ns - 10 * SECOND;
	memstats.last_gc_nanotime = now_ns - 10 * SECOND;
	memstats.pause_end[(cycles - 1) % 256] = memstats.last_gc_unix;
	memstats.pause_end[(cycles - 2) % 256] = unix_ns - 60 * SECOND;
	work = (struct work){.sweep_term = now_ns - 12 * SECOND,
			     .mark = now_ns - 12 * SECOND + 1,
			     .mark_term = now_ns - 10 * SECOND - 1,
			     .end = now_ns - 10 * SECOND};
	controller = (struct controller){.percent = 100,
					 .memory_limit = INT64_MAX,
					 .percent_goal = 64 * MIB,
					 .triggered = UINT64_MAX,
					 .heap_live = 11 * MIB,
					 .heap_marked = 10 * MIB,
					 .heap_in_use = 20 * MIB,
					 .heap_free = 8 * MIB,
					 .total_alloc = 1000 * MIB,
					 .total_free = 989 * MIB,
					 .mapped_ready = 33 * MIB};
	fing_status = 5;
}

static uint64_t told[CGOHEAP_GO_FIGURES];

static struct gogc read_gc(void)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct gogc g;
	gogc_read(&s, told, &g);
	scratch_release(&s);
	return g;
}

static void begin(void)
{
	memset(told, 0xff, sizeof(told));
	good_figures(300);
}

/* ---- when it ran ------------------------------------------------------------ */

static void times(void)
{
	begin();
	struct gogc g = read_gc();
	CHECK(g.cycles == 300 && g.ended_unix_ns == memstats.last_gc_unix);
	CHECK(g.began_ns == work.sweep_term && g.ended_ns == memstats.last_gc_nanotime);
	for (uint32_t cycles = 2; cycles < 600; cycles += 127) {
		good_figures(cycles);
		CHECK(read_gc().cycles == cycles);
	}
}
CASE(times)

/* The next one is under way: the last one's beginning is overwritten. */
static void during_the_next(void)
{
	begin();
	work.sweep_term = now_ns - SECOND;
	CHECK(read_gc().began_ns == now_ns - 60 * SECOND);
	good_figures(1);
	work.sweep_term = now_ns - SECOND;
	memstats.pause_end[255] = 0;
	CHECK(read_gc().began_ns == UNKNOWN && read_gc().cycles == 1);
}
CASE(during_the_next)

static void never(void)
{
	begin();
	memset(&memstats, 0, sizeof(memstats));
	memset(&work, 0, sizeof(work));
	struct gogc g = read_gc();
	CHECK(g.cycles == 0 && g.ended_unix_ns == 0 && g.began_ns == UNKNOWN && g.ended_ns == 0);
}
CASE(never)

/* One thing wrong at a time. */
static void times_that_contradict(void)
{
	static const struct {
		size_t field;
		uint64_t value;
	} wrong[] = {
		{offsetof(struct memstats, last_gc_unix), 1},
		{offsetof(struct memstats, last_gc_nanotime), 0},
		{offsetof(struct memstats, last_gc_nanotime), UINT64_MAX / 2},
		{offsetof(struct memstats, numgc), 299},
		{offsetof(struct memstats, numgc), 0},
		{offsetof(struct memstats, pause_end[299 % 256]), 7},
	};
	begin();
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		good_figures(300);
		char *at = (char *)&memstats + wrong[i].field;
		if (wrong[i].field == offsetof(struct memstats, numgc))
			*(uint32_t *)at = (uint32_t)wrong[i].value;
		else
			*(uint64_t *)at = wrong[i].value;
		struct gogc g = read_gc();
		CHECK(g.cycles == UNKNOWN && g.ended_unix_ns == UNKNOWN && g.began_ns == UNKNOWN);
		CHECK(g.goal_bytes == 64 * MIB);
	}
	/* The last collection is not in the future. */
	good_figures(300);
	memstats.last_gc_unix = memstats.pause_end[299 % 256] = unix_ns + 100 * SECOND;
	CHECK(read_gc().cycles == UNKNOWN);
}
CASE(times_that_contradict)

/* Go 1.24 and earlier have more before it. */
static void an_older_layout(void)
{
	begin();
	memmove((char *)&memstats + 0xe08, (char *)&memstats + 0xdf0,
		offsetof(struct memstats, more) - 0xdf0);
	CHECK(read_gc().cycles == UNKNOWN);
	version = "go1.24.13";
	CHECK(read_gc().cycles == 300 && read_gc().began_ns == work.sweep_term);
	version = "go1.28.0";
	struct gogc g = read_gc();
	CHECK(g.cycles == UNKNOWN && g.goal_bytes == UNKNOWN && g.is_finalizing == UNKNOWN);
}
CASE(an_older_layout)

/* ---- when it runs next -------------------------------------------------------- */

static void goals(void)
{
	begin();
	struct gogc g = read_gc();
	CHECK(g.goal_bytes == 64 * MIB && g.heap_bytes == 11 * MIB && g.live_bytes == 10 * MIB);
	CHECK(g.percent == 100 && g.memory_limit == UNKNOWN);
	controller.sweep_trigger = 65 * MIB;
	CHECK(read_gc().goal_bytes == 65 * MIB);
	controller.triggered = 65 * MIB;
	CHECK(read_gc().goal_bytes == 65 * MIB + 64 * KIB);
	/* 33 MiB are mapped, 14 of them neither free nor objects. */
	controller.memory_limit = 60 * MIB;
	CHECK(read_gc().goal_bytes == 46 * MIB - 46 * MIB / 100 * 3);
	CHECK(read_gc().memory_limit == 60 * MIB);
	controller.memory_limit = 40 * MIB;
	CHECK(read_gc().goal_bytes == 25 * MIB);
	controller.memory_limit = 16 * MIB; /* mapped by 17 more */
	CHECK(read_gc().goal_bytes == 10 * MIB);
}
CASE(goals)

static void off(void)
{
	begin();
	controller.percent = -1;
	controller.percent_goal = UINT64_MAX;
	struct gogc g = read_gc();
	CHECK(g.percent == GOGC_OFF && g.goal_bytes == UNKNOWN && g.heap_bytes == 11 * MIB);
	controller.memory_limit = 60 * MIB;
	g = read_gc();
	CHECK(g.percent == GOGC_OFF && g.goal_bytes < 60 * MIB);
}
CASE(off)

static void a_goal_that_contradicts(void)
{
	begin();
	controller.percent = -2;
	CHECK(read_gc().goal_bytes == UNKNOWN && read_gc().percent == UNKNOWN);
	good_figures(300);
	controller.total_free = 1001 * MIB;
	CHECK(read_gc().goal_bytes == UNKNOWN);
	good_figures(300);
	controller.heap_live = UINT64_MAX;
	CHECK(read_gc().heap_bytes == UNKNOWN && read_gc().cycles == 300);
}
CASE(a_goal_that_contradicts)

static void finalizers(void)
{
	begin();
	CHECK(read_gc().is_finalizing == 0);
	fing_status = 3;
	CHECK(read_gc().is_finalizing == 1);
	fing_status = 16;
	CHECK(read_gc().is_finalizing == UNKNOWN);
}
CASE(finalizers)

/* ---- what the package tells ---------------------------------------------------- */

static void package_comes_first(void)
{
	begin();
	told[CGOHEAP_GO_GC_CYCLES] = 301;
	told[CGOHEAP_GO_LAST_GC] = unix_ns - SECOND;
	told[CGOHEAP_GO_HEAP_GOAL] = 70 * MIB;
	told[CGOHEAP_GO_GC_PERCENT] = 200;
	told[CGOHEAP_GO_MEMORY_LIMIT] = INT64_MAX;
	told[CGOHEAP_GO_FINALIZERS_QUEUED] = 10;
	told[CGOHEAP_GO_FINALIZERS_EXECUTED] = 7;
	told[CGOHEAP_GO_CLEANUPS_QUEUED] = 10;
	told[CGOHEAP_GO_CLEANUPS_EXECUTED] = 11; /* read a little later */
	struct gogc g = read_gc();
	CHECK(g.cycles == 301 && g.ended_unix_ns == unix_ns - SECOND && g.goal_bytes == 70 * MIB);
	CHECK(g.percent == 200 && g.memory_limit == UNKNOWN);
	CHECK(g.finalizers_waiting == 3 && g.cleanups_waiting == 0);
	CHECK(g.began_ns == work.sweep_term); /* which the package does not know */
}
CASE(package_comes_first)

static void near(uint64_t a, uint64_t b)
{
	CHECK((a > b ? a - b : b - a) < SECOND);
}

/* A stripped binary: the end of the one before the last is all that is known. */
static void package_alone(void)
{
	begin();
	version = "go1.28.0";
	told[CGOHEAP_GO_LAST_GC] = unix_ns - 10 * SECOND;
	told[CGOHEAP_GO_GC_BEFORE_LAST] = unix_ns - 60 * SECOND;
	told[CGOHEAP_GO_HEAP_OBJECTS] = 12 * MIB;
	struct gogc g = read_gc();
	near(g.began_ns, now_ns - 60 * SECOND);
	near(g.ended_ns, now_ns - 10 * SECOND);
	CHECK(g.heap_bytes == 12 * MIB && g.is_finalizing == UNKNOWN);
	told[CGOHEAP_GO_GC_BEFORE_LAST] = 0; /* there was one alone */
	CHECK(read_gc().began_ns == UNKNOWN);
	told[CGOHEAP_GO_GC_BEFORE_LAST] = 1; /* before the machine started */
	CHECK(read_gc().began_ns == UNKNOWN);
	told[CGOHEAP_GO_GC_BEFORE_LAST] = unix_ns + 100 * SECOND;
	CHECK(read_gc().began_ns == UNKNOWN);
}
CASE(package_alone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_during_the_next),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_times_that_contradict),
		cmocka_unit_test(test_an_older_layout),
		cmocka_unit_test(test_goals),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_a_goal_that_contradicts),
		cmocka_unit_test(test_finalizers),
		cmocka_unit_test(test_package_comes_first),
		cmocka_unit_test(test_package_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
