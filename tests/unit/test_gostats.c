/*
 * The Go runtime's variables, defined here under their names: which values are accepted.
 * tests/e2e has real programs of every release.
 */
#include "child.h"

#include <string.h>
#include <sys/mman.h>

#include "go/gomodules.h"
#include "go/gostats.h"
#include "go/gosym.h"

/* ---- a fake runtime ------------------------------------------------------- */

static bool is_go = true;
static const char *version = "go1.26.8";

static struct gomodule runtimes[2] = {{.has_runtime = true}, {.index = 1}};

uint32_t gomodules_count(void)
{
	return is_go ? 2 : 0;
}

struct gomodule *gomodules_get(uint32_t index)
{
	runtimes[0].tables.text = (uint64_t)gomodules_count;
	return &runtimes[index];
}

const char *gosym_version(void)
{
	return version;
}

/* ---- a fake package ------------------------------------------------------ */

static bool is_attached, is_silent;
static uint64_t told[CGOHEAP_GO_FIGURES];

bool bridge_is_attached(void)
{
	return is_attached;
}

int bridge_read_figures(uint64_t out[CGOHEAP_GO_FIGURES])
{
	if (!is_attached || is_silent)
		return -1;
	memcpy(out, told, sizeof(told));
	return 0;
}

/* runtime/mgcpacer.go, Go 1.21 to 1.27. */
struct controller {
	uint64_t others[34];
	uint64_t heap_in_use, heap_released, heap_free, total_alloc, total_free, mapped_ready;
	uint64_t more[9];
};
extern struct controller controller __asm__("runtime.gcController");
struct controller controller;

struct slice {
	uint64_t list, count, room;
};
extern struct slice allgs __asm__("runtime.allgs");
struct slice allgs;

struct g {
	uint64_t lo, hi, others[50];
};

/* ---- the heap's figures --------------------------------------------------- */

#define USABLE (64 * MIB)

static void good_figures(void)
{
	controller.heap_in_use = 20 * MIB;
	controller.heap_free = 8 * MIB;
	controller.heap_released = 32 * MIB;
	controller.total_alloc = 1000 * MIB;
	controller.total_free = 990 * MIB;
	controller.mapped_ready = 33 * MIB;
}

static struct go_stats read_stats(void)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct go_stats g;
	gostats_read(&s, USABLE, &g);
	scratch_release(&s);
	return g;
}

static bool is_unknown(const struct go_stats *g)
{
	return *g->source == 0 && g->heap_in_use_bytes == UNKNOWN && g->stacks_bytes == UNKNOWN &&
	       g->heap_free_bytes == UNKNOWN && g->heap_released_bytes == UNKNOWN &&
	       g->mapped_ready_bytes == UNKNOWN && g->total_alloc_bytes == UNKNOWN;
}

static void figures(void)
{
	good_figures();
	struct go_stats g = read_stats();
	CHECK(strcmp(g.source, "runtime.gcController") == 0);
	CHECK(g.heap_in_use_bytes == 20 * MIB && g.heap_free_bytes == 8 * MIB);
	CHECK(g.heap_released_bytes == 32 * MIB && g.mapped_ready_bytes == 33 * MIB);
	CHECK(g.total_alloc_bytes == 1000 * MIB);
	CHECK(g.stacks_bytes == 4 * MIB); /* the rest of the arenas */
}
CASE(figures)

/* One thing wrong at a time. */
static void figures_that_contradict(void)
{
	static const struct {
		size_t field;
		uint64_t value;
	} wrong[] = {
		{offsetof(struct controller, heap_in_use), 0},
		{offsetof(struct controller, heap_in_use), 20 * MIB + 1},
		{offsetof(struct controller, heap_in_use), 25 * MIB},
		{offsetof(struct controller, heap_in_use), UINT64_MAX - 8191},
		{offsetof(struct controller, heap_free), 4096},
		{offsetof(struct controller, heap_released), 40 * MIB},
		{offsetof(struct controller, heap_released), UINT64_MAX - 8191},
		{offsetof(struct controller, mapped_ready), 27 * MIB},
		{offsetof(struct controller, total_free), 1001 * MIB},
	};
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		good_figures();
		*(uint64_t *)((char *)&controller + wrong[i].field) = wrong[i].value;
		struct go_stats g = read_stats();
		CHECK(is_unknown(&g));
	}
}
CASE(figures_that_contradict)

static void other_releases(void)
{
	static const struct {
		const char *version;
		bool known;
	} releases[] = {{"go1.21.13", true},     {"go1.27.4", true},   {"go1.27", true},
			{"go1.26-custom", true}, {"go1.20.14", false}, {"go1.28.0", false},
			{"go1.2", false},        {"go1.210", false},   {"", false},
			{"devel", false}};
	for (size_t i = 0; i < COUNT_OF(releases); i++) {
		good_figures();
		version = releases[i].version;
		struct go_stats g = read_stats();
		CHECK(is_unknown(&g) != releases[i].known);
	}
}
CASE(other_releases)

/* With a second runtime from a library, the program's figures are not the whole. */
static void two_runtimes(void)
{
	good_figures();
	struct go_stats g = read_stats();
	CHECK(!is_unknown(&g));
	runtimes[1].has_runtime = true;
	g = read_stats();
	CHECK(is_unknown(&g));
}
CASE(two_runtimes)

static void no_go(void)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct rangeset heap = {0};
	good_figures();
	is_go = false;
	struct go_stats g = read_stats();
	CHECK(is_unknown(&g));
	CHECK(gostats_stacks_resident(&s, &heap) == UNKNOWN);
}
CASE(no_go)

/* ---- stacks ----------------------------------------------------------------- */

#define GOROUTINES 10000
#define STACK      (4 * PAGE_BYTES)

static struct g gs[GOROUTINES];
static uint64_t list[GOROUTINES + 1];

/* Touches every second page of each stack; in random order. */
static char *make_goroutines(void)
{
	char *heap = mmap(NULL, GOROUTINES * STACK, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(heap != MAP_FAILED);
	madvise(heap, GOROUTINES * STACK, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < GOROUTINES; i++) {
		char *stack = heap + (i * 7919 % GOROUTINES) * STACK;
		gs[i].lo = (uint64_t)stack;
		gs[i].hi = (uint64_t)stack + STACK;
		stack[0] = stack[2 * PAGE_BYTES] = 1;
		list[i] = (uint64_t)&gs[i];
	}
	allgs = (struct slice){(uint64_t)list, GOROUTINES, GOROUTINES};
	return heap;
}

static uint64_t resident(const char *heap, size_t bytes)
{
	struct scratch s = SCRATCH_INIT(4 * MIB);
	struct rangeset claims = {0};
	CHECK(rangeset_add(&s, &claims, (uint64_t)heap, (uint64_t)heap + bytes, 0, 0) == 0);
	uint64_t r = gostats_stacks_resident(&s, &claims);
	scratch_release(&s);
	return r;
}

static void all_stacks(void)
{
	const char *heap = make_goroutines();
	CHECK(resident(heap, GOROUTINES * STACK) == GOROUTINES * 2 * PAGE_BYTES);
	/* Counts only what is in the heap. */
	CHECK(resident(heap, 100 * STACK + PAGE_BYTES) == 100 * 2 * PAGE_BYTES);
}
CASE(all_stacks)

/* Memory that changes while it is read: dead goroutines without a stack, nonsense, bad pointers. */
static void some_are_nonsense(void)
{
	const char *heap = make_goroutines();
	gs[5].lo = gs[5].hi = 0;
	gs[6].hi = gs[6].lo - 8;
	gs[7].hi = gs[7].lo + (UINT64_C(1) << 40);
	list[8] = 0;
	list[9] = 8;
	list[GOROUTINES - 1] = (uint64_t)heap - (UINT64_C(1) << 30);
	CHECK(resident(heap, GOROUTINES * STACK) == (GOROUTINES - 6) * 2 * PAGE_BYTES);
}
CASE(some_are_nonsense)

static void no_list(void)
{
	const char *heap = make_goroutines();
	allgs.count = 0;
	CHECK(resident(heap, MIB) == UNKNOWN);
	allgs.count = UINT64_C(1) << 40;
	CHECK(resident(heap, MIB) == UNKNOWN);
	allgs = (struct slice){8, 10, 10};
	CHECK(resident(heap, MIB) == UNKNOWN);
}
CASE(no_list)

/* ---- the package's figures ------------------------------------------------ */

static void package_comes_first(void)
{
	good_figures();
	is_attached = true;
	for (uint64_t i = 0; i < CGOHEAP_GO_FIGURES; i++)
		told[i] = (i + 1) * MIB;
	told[CGOHEAP_GO_TOTAL] = 1000 * MIB;
	struct go_stats g = read_stats();
	CHECK(strcmp(g.source, "runtime/metrics") == 0 && g.has_package);
	CHECK(g.heap_in_use_bytes == told[CGOHEAP_GO_HEAP_OBJECTS] + told[CGOHEAP_GO_HEAP_UNUSED]);
	CHECK(g.heap_free_bytes == told[CGOHEAP_GO_HEAP_FREE]);
	CHECK(g.heap_released_bytes == told[CGOHEAP_GO_HEAP_RELEASED]);
	CHECK(g.stacks_bytes == told[CGOHEAP_GO_HEAP_STACKS]);
	CHECK(g.mapped_ready_bytes == 1000 * MIB - told[CGOHEAP_GO_HEAP_RELEASED]);
	/* mcache free to profiling buckets: figures 5 to 12. */
	CHECK(g.metadata_bytes == (6 + 7 + 8 + 9 + 10 + 11 + 12 + 13) * MIB);
	CHECK(g.gc.memory_limit == told[CGOHEAP_GO_MEMORY_LIMIT]);
	CHECK(memcmp(g.runtime, told, sizeof(told)) == 0);
	told[CGOHEAP_GO_MEMORY_LIMIT] = INT64_MAX; /* none */
	CHECK(read_stats().gc.memory_limit == UNKNOWN);
}
CASE(package_comes_first)

static void package_does_not_know_all(void)
{
	is_attached = true;
	for (uint64_t i = 0; i < CGOHEAP_GO_FIGURES; i++)
		told[i] = MIB;
	told[CGOHEAP_GO_HEAP_UNUSED] = told[CGOHEAP_GO_OTHER] = CGOHEAP_BRIDGE_UNKNOWN;
	told[CGOHEAP_GO_MEMORY_LIMIT] = CGOHEAP_BRIDGE_UNKNOWN;
	told[CGOHEAP_GO_HEAP_RELEASED] = 2 * MIB; /* more than the total of 1 MiB */
	struct go_stats g = read_stats();
	CHECK(g.heap_in_use_bytes == UNKNOWN && g.metadata_bytes == UNKNOWN);
	CHECK(g.gc.memory_limit == UNKNOWN && g.mapped_ready_bytes == UNKNOWN);
	CHECK(g.heap_free_bytes == MIB && strcmp(g.source, "runtime/metrics") == 0);
}
CASE(package_does_not_know_all)

static void silent_package_leaves_the_variables(void)
{
	good_figures();
	is_attached = is_silent = true;
	struct go_stats g = read_stats();
	CHECK(strcmp(g.source, "runtime.gcController") == 0 && g.has_package);
	CHECK(g.heap_in_use_bytes == 20 * MIB && g.metadata_bytes == UNKNOWN);
	CHECK(g.runtime[CGOHEAP_GO_HEAP_STACKS] == UNKNOWN);
	version = "go9.99";
	g = read_stats();
	CHECK(is_unknown(&g) && g.has_package);
}
CASE(silent_package_leaves_the_variables)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_figures_that_contradict),
		cmocka_unit_test(test_other_releases),
		cmocka_unit_test(test_two_runtimes),
		cmocka_unit_test(test_no_go),
		cmocka_unit_test(test_all_stacks),
		cmocka_unit_test(test_some_are_nonsense),
		cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_package_comes_first),
		cmocka_unit_test(test_package_does_not_know_all),
		cmocka_unit_test(test_silent_package_leaves_the_variables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
