/* See gostats.h.  Layouts: runtime/mgcpacer.go (gcControllerState), runtime/runtime2.go (g). */
#include "go/gostats.h"

#include <string.h>

#include "base/pagemap.h"
#include "base/selfmem.h"
#include "base/sort.h"
#include "base/work.h"
#include "go/govars.h"

/* ---- the heap's figures ------------------------------------------------- */

/* runtime.gcControllerState, from heapInUse on. */
#define HEAP_IN_USE_OFFSET 0x110
struct controller {
	uint64_t heap_in_use, heap_released, heap_free, total_alloc, total_free, mapped_ready;
};
#define GO_PAGE_BYTES 8192

static bool is_plausible(const struct controller *c, uint64_t heap_usable_bytes)
{
	uint64_t sum;
	return c->heap_in_use != 0 &&
	       (c->heap_in_use | c->heap_released | c->heap_free) % GO_PAGE_BYTES == 0 &&
	       !__builtin_add_overflow(c->heap_in_use, c->heap_free, &sum) &&
	       c->mapped_ready >= sum && !__builtin_add_overflow(sum, c->heap_released, &sum) &&
	       sum <= heap_usable_bytes && c->total_alloc >= c->total_free;
}

static void read_variables(struct scratch *scratch, uint64_t heap_usable_bytes,
			   struct go_stats *out)
{
	struct controller c;
	uint64_t address = govars_address(scratch, GOVARS_GC_CONTROLLER);
	if (!address || !govars_release() ||
	    selfmem_read(address + HEAP_IN_USE_OFFSET, &c, sizeof(c)) ||
	    !is_plausible(&c, heap_usable_bytes))
		return;
	out->heap_in_use_bytes = c.heap_in_use;
	out->heap_free_bytes = c.heap_free;
	out->heap_released_bytes = c.heap_released;
	out->mapped_ready_bytes = c.mapped_ready;
	out->total_alloc_bytes = c.total_alloc;
	out->stacks_bytes = heap_usable_bytes - c.heap_in_use - c.heap_free - c.heap_released;
	out->source = "runtime.gcController";
}

/* ---- the Go package's figures -------------------------------------------- */

/* UNKNOWN if one of the figures is, or if they are not figures. */
static uint64_t sum_of(const uint64_t *figures, size_t first, size_t last)
{
	uint64_t sum = 0;
	for (size_t i = first; i <= last; i++)
		if (figures[i] == UNKNOWN || __builtin_add_overflow(sum, figures[i], &sum))
			return UNKNOWN;
	return sum;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return sum_of((const uint64_t[]){a, b}, 0, 1);
}

/* The same sums as in runtime.MemStats: HeapInuse, HeapIdle minus HeapReleased, and so on. */
static int read_package(struct go_stats *out)
{
	uint64_t *f = out->runtime;
	if (bridge_read_figures(f))
		return -1;
	out->heap_in_use_bytes = plus(f[CGOHEAP_GO_HEAP_OBJECTS], f[CGOHEAP_GO_HEAP_UNUSED]);
	out->heap_free_bytes = f[CGOHEAP_GO_HEAP_FREE];
	out->heap_released_bytes = f[CGOHEAP_GO_HEAP_RELEASED];
	out->stacks_bytes = f[CGOHEAP_GO_HEAP_STACKS];
	out->metadata_bytes =
		sum_of(f, CGOHEAP_GO_METADATA_MCACHE_FREE, CGOHEAP_GO_PROFILING_BUCKETS);
	out->total_alloc_bytes = f[CGOHEAP_GO_ALLOCATED];
	if (f[CGOHEAP_GO_TOTAL] != UNKNOWN && f[CGOHEAP_GO_HEAP_RELEASED] <= f[CGOHEAP_GO_TOTAL])
		out->mapped_ready_bytes = f[CGOHEAP_GO_TOTAL] - f[CGOHEAP_GO_HEAP_RELEASED];
	out->source = "runtime/metrics";
	return 0;
}

void gostats_read(struct scratch *scratch, uint64_t heap_usable_bytes, struct go_stats *out)
{
	*out = (struct go_stats){.heap_in_use_bytes = UNKNOWN,
				 .heap_free_bytes = UNKNOWN,
				 .heap_released_bytes = UNKNOWN,
				 .stacks_bytes = UNKNOWN,
				 .mapped_ready_bytes = UNKNOWN,
				 .total_alloc_bytes = UNKNOWN,
				 .metadata_bytes = UNKNOWN,
				 .source = "",
				 .has_package = bridge_is_attached()};
	for (size_t i = 0; i < COUNT_OF(out->runtime); i++)
		out->runtime[i] = UNKNOWN;
	if (read_package(out))
		read_variables(scratch, heap_usable_bytes, out);
	gogc_read(scratch, out->runtime, &out->gc);
}

/* ---- stacks ------------------------------------------------------------- */

#define STACKS_AT_ONCE     4096
#define MAX_GOROUTINES     (1u << 22)
#define MAX_GO_STACK_BYTES (UINT64_C(1) << 31) /* runtime/proc.go: maxstackceiling is 2 GB */

struct stacks {
	const struct rangeset *heap;
	struct pagemap_window window;
	struct sort_item *items; /* key: lo, value: hi; STACKS_AT_ONCE */
	size_t count;
	uint64_t resident;
};

static void stacks_count(struct stacks *s, uint64_t resident)
{
	if (resident == UNKNOWN)
		s->resident = UNKNOWN;
	else if (s->resident != UNKNOWN)
		s->resident += resident;
}

/* Sorted, so that the window only moves forward. */
static void stacks_flush(struct stacks *s)
{
	sort_items(s->items, s->count);
	for (size_t i = 0; i < s->count; i++) {
		uint64_t lo = s->items[i].key, hi = s->items[i].value;
		const struct rangeset_range *claim = rangeset_find(s->heap, lo);
		if (claim && hi <= claim->end)
			stacks_count(s, pagemap_window_bytes(&s->window, lo, hi, claim->end));
	}
	s->count = 0;
}

/* g.stack: lo at 0, hi at 8. */
static void stacks_add(struct stacks *s, uint64_t lo, uint64_t hi)
{
	if (lo == 0 || hi <= lo || hi - lo > MAX_GO_STACK_BYTES)
		return;
	s->items[s->count++] = (struct sort_item){.key = lo, .value = hi};
	if (s->count == STACKS_AT_ONCE)
		stacks_flush(s);
}

/* Reads at most SELFMEM_EACH goroutines; `list` is the address of their pointers. */
static bool stacks_read(struct stacks *s, uint64_t list, size_t count)
{
	uint64_t g[SELFMEM_EACH], bounds[SELFMEM_EACH][2];
	bool ok[SELFMEM_EACH];
	if (selfmem_read(list, g, count * sizeof(g[0])))
		return false;
	selfmem_read_each(g, count, bounds, sizeof(bounds[0]), ok);
	for (size_t i = 0; i < count; i++)
		if (ok[i])
			stacks_add(s, bounds[i][0], bounds[i][1]);
	return true;
}

int gostats_allgs(struct scratch *scratch, uint64_t *list, uint64_t *count)
{
	uint64_t slice[2];
	uint64_t address = govars_address(scratch, GOVARS_ALLGS);
	if (!address || selfmem_read(address, slice, sizeof(slice)) || slice[1] == 0 ||
	    slice[1] > MAX_GOROUTINES)
		return -1;
	*list = slice[0];
	*count = slice[1];
	return 0;
}

uint64_t gostats_stacks_resident(struct scratch *scratch, const struct rangeset *heap)
{
	struct stacks s = {.heap = heap};
	uint64_t list, count;
	if (gostats_allgs(scratch, &list, &count))
		return UNKNOWN;
	s.items = scratch_alloc(scratch, STACKS_AT_ONCE * sizeof(*s.items));
	if (!s.items)
		return UNKNOWN;
	for (uint64_t done = 0; done < count; done += SELFMEM_EACH) {
		uint64_t left = count - done;
		if (!work_may_go_on(30000))
			return UNKNOWN;
		if (!stacks_read(&s, list + done * 8, left < SELFMEM_EACH ? left : SELFMEM_EACH))
			return UNKNOWN;
	}
	stacks_flush(&s);
	return s.resident;
}
