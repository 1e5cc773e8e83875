/*
 * What is in use and what was allocated, by site, at one moment: see stacks.h.
 */
#include <string.h>

#include "base/clock.h"
#include "base/sort.h"
#include "region/cells.h"
#include "record/inuse.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/stacks.h"
#include "record/stacks_reclaim.h"

/* Stacks are all over the arena: how many buckets ahead they are fetched into the cache. */
#define AHEAD 8

/* Sites that have a number but are not yet in their stack's list. */
#define MOST_ABOUT_TO 256

/*
 * The top bit says whether the number of turns is odd. If they disagree, one turn is not counted
 * yet.
 */
static unsigned __int128 read_whole(const uint64_t *low, const uint16_t *turns)
{
	uint16_t before, after = LOAD_ACQ(turns);
	uint64_t n;

	do {
		before = after;
		n = LOAD_ACQ(low);
		after = LOAD_ACQ(turns);
	} while (before != after);
	return (unsigned __int128)((after + ((n >> 63) ^ (after & 1u))) >> 1) << 64 | n;
}

/* Blocks of `size` bytes that are so many bytes. */
static __int128 objects_fx_of(uint64_t size, __int128 bytes_fx)
{
	return (bytes_fx << (WEIGHT_OBJECT_BITS - WEIGHT_BYTE_BITS)) / size;
}

struct site_allocated site_allocated(const struct site *s)
{
	struct site_allocated a = {.bytes_fx =
					   read_whole(&s->alloc_bytes_fx, &s->alloc_bytes_turns)};
	uint64_t size = site_block_bytes(s);

	a.objects_fx = size ? (unsigned __int128)objects_fx_of(size, (__int128)a.bytes_fx)
			    : read_whole(&s->alloc_objects_fx, &s->alloc_objects_turns);
	return a;
}

static int64_t rounded(uint64_t fixed, int bits)
{
	return ((int64_t)fixed + (1 << (bits - 1))) >> bits;
}

/* Limited to what pprof can hold. */
static int64_t rounded_total(unsigned __int128 fixed, int bits)
{
	unsigned __int128 whole = (fixed + (1u << (bits - 1))) >> bits;

	return whole > INT64_MAX ? INT64_MAX : (int64_t)whole;
}

/*
 * Frees are read first. Each belongs to an allocation that the later read sees, so in use is
 * never negative.
 */
struct tally stacks_tally(uint32_t id)
{
	struct site *s = site_at(id);
	uint64_t free_bytes = LOAD_ACQ(&s->free_bytes_fx);
	uint64_t free_objects = site_objects_freed_fx(s);
	struct site_allocated a = site_allocated(s);
	uint64_t bytes = (uint64_t)a.bytes_fx - free_bytes;
	uint64_t objects = (uint64_t)a.objects_fx - free_objects, size = site_block_bytes(s);

	if (size)
		objects = (uint64_t)objects_fx_of(size, (int64_t)bytes);
	return (struct tally){.site = id,
			      .stack = s->stack,
			      .born = s->born,
			      .alloc_objects = rounded_total(a.objects_fx, WEIGHT_OBJECT_BITS),
			      .alloc_bytes = rounded_total(a.bytes_fx, WEIGHT_BYTE_BITS),
			      .inuse_objects = rounded(objects, WEIGHT_OBJECT_BITS),
			      .inuse_bytes = rounded(bytes, WEIGHT_BYTE_BITS)};
}

/* ---- every site -------------------------------------------------------- */

void stacks_each(void (*visit)(uint32_t stack, void *arg), void *arg)
{
	/* The maximum number of steps if there is no ring. */
	size_t count, left = region_layout.arena.bytes / CELLS_UNIT;
	uint32_t *buckets = stacks_buckets(&count), id;

	for (size_t b = 0; b < count; b++) {
		if (b + AHEAD < count)
			__builtin_prefetch(region_at((uint64_t)LOAD(&buckets[b + AHEAD]) * 8));
		for (id = LOAD_ACQ(&buckets[b]); id && left;
		     id = LOAD_ACQ(&stack_at(id)->next), left--)
			visit(id, arg);
	}
	for (id = stacks_reclaim_first(); id && left; id = stack_at(id)->reclaim, left--)
		visit(id, arg);
}

struct walk {
	void (*visit)(uint32_t site, void *arg);
	void *arg;
	size_t left; /* as above */
};

static void walk_stack(uint32_t stack, void *arg)
{
	struct walk *w = arg;

	for (uint32_t id = LOAD_ACQ(&stack_at(stack)->first_site); id && w->left;
	     id = LOAD(&site_at(id)->next), w->left--)
		w->visit(id, w->arg);
}

/* Visits sites being reclaimed too, because their figures are not moved yet. */
void stacks_each_site(void (*visit)(uint32_t site, void *arg), void *arg)
{
	struct walk w = {visit, arg, region_layout.arena.bytes / CELLS_UNIT};

	stacks_each(walk_stack, &w);
}

static void totals_add(uint32_t id, void *arg)
{
	struct stacks_totals *sum = arg;
	struct tally t = stacks_tally(id);
	uint32_t origin = site_at(id)->origin;

	if (origin < ORIGIN_COUNT) {
		sum->bytes[origin] += (uint64_t)t.inuse_bytes;
		sum->objects[origin] += (uint64_t)t.inuse_objects;
	}
}

struct stacks_totals stacks_totals(void)
{
	struct stacks_totals sum = {0};

	stacks_each_site(totals_add, &sum);
	return sum;
}

/* ---- snapshots --------------------------------------------------------- */

struct filling {
	struct snapshot *out;
	size_t room;
	bool figures;  /* false: a view by age starts at 0 */
	uint64_t last; /* the largest number of a site in this snapshot */
	bool is_full;
};

static void fill_one(uint32_t id, void *arg)
{
	struct filling *f = arg;
	const struct site *s = site_at(id);
	struct tally t = {.site = id, .stack = s->stack, .born = s->born};

	if (t.born > f->last)
		return;
	if (f->figures)
		t = stacks_tally(id);
	if (f->figures && tally_is_zero(&t))
		return;
	if (f->out->count == f->room)
		f->is_full = true;
	else
		f->out->tallies[f->out->count++] = t;
}

/* Puts tallies where items say: items[i].value is the place of the one that belongs at i. */
static void permute(struct tally *tallies, struct sort_item *items, size_t count)
{
	for (size_t start = 0; start < count; start++) {
		struct tally first = tallies[start];
		size_t to = start, from;
		while ((from = items[to].value) != start && from != to) {
			tallies[to] = tallies[from];
			items[to].value = to; /* done */
			to = from;
		}
		if (to != start) {
			tallies[to] = first;
			items[to].value = to;
		}
	}
}

/* Without scratch they stay in the order of the hash table. */
static void snapshot_sort(const struct scratch *scratch, struct snapshot *out)
{
	struct scratch part = scratch_part(scratch);
	struct sort_item *items = scratch_alloc(&part, out->count * sizeof(*items));

	for (size_t i = 0; items && i < out->count; i++)
		items[i] = (struct sort_item){
			(uint64_t)out->tallies[i].stack << 32 | out->tallies[i].site, i};
	if (items) {
		sort_items(items, out->count);
		permute(out->tallies, items, out->count);
	}
	scratch_release(&part);
}

static void snapshot_drop_zeros(struct snapshot *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < out->count; i++)
		if (!tally_is_zero(&out->tallies[i]))
			out->tallies[kept++] = out->tallies[i];
	out->count = kept;
}

/* Maps a site to its tally: open addressing, at most half full. */
struct tally_index {
	struct tally *tallies;
	uint32_t *slots; /* index into tallies plus one */
	uint32_t mask;
};

static uint32_t *tally_slot(const struct tally_index *index, uint32_t site)
{
	uint32_t at = site * 2654435769u;

	for (at ^= at >> 16;; at++) {
		uint32_t *slot = &index->slots[at & index->mask];
		if (!*slot || index->tallies[*slot - 1].site == site)
			return slot;
	}
}

static int tally_index_build(struct tally_index *index, struct scratch *scratch,
			     struct tally *tallies, size_t count)
{
	size_t slots = 16;

	while (slots < 2 * count)
		slots *= 2;
	index->tallies = tallies;
	index->mask = (uint32_t)(slots - 1);
	index->slots = scratch_alloc(scratch, slots * sizeof(*index->slots));
	if (!index->slots)
		return -1;
	for (size_t i = 0; i < count; i++)
		*tally_slot(index, tallies[i].site) = (uint32_t)i + 1;
	return 0;
}

struct age_view {
	struct tally_index index;
	uint64_t now_ns, min_age_ns;
};

/* A tick is the creation time rounded down; the age counts from the end of the tick. */
static void age_view_add(uint32_t site, uint32_t tick, struct weight w, void *arg)
{
	const struct age_view *view = arg;
	uint64_t made_ns = region_layout.start_monotonic_ns + (tick + UINT64_C(1)) * LIVE_TICK_NS;

	if (made_ns > view->now_ns || view->now_ns - made_ns < view->min_age_ns)
		return;
	uint32_t slot = *tally_slot(&view->index, site);
	if (slot) {
		view->index.tallies[slot - 1].inuse_objects += (int64_t)w.objects_fx;
		view->index.tallies[slot - 1].inuse_bytes += (int64_t)w.bytes_fx;
	}
}

static int snapshot_by_age(struct scratch *scratch, uint64_t min_age_ns, struct snapshot *out)
{
	struct age_view view = {.now_ns = out->time_ns, .min_age_ns = min_age_ns};

	if (tally_index_build(&view.index, scratch, out->tallies, out->count))
		return -1;
	if (inuse_each(scratch, age_view_add, &view))
		return -1;
	for (size_t i = 0; i < out->count; i++) {
		struct tally *t = &out->tallies[i];
		t->inuse_objects = rounded((uint64_t)t->inuse_objects, WEIGHT_OBJECT_BITS);
		t->inuse_bytes = rounded((uint64_t)t->inuse_bytes, WEIGHT_BYTE_BITS);
		t->alloc_objects = t->inuse_objects;
		t->alloc_bytes = t->inuse_bytes;
	}
	snapshot_drop_zeros(out);
	return 0;
}

static bool is_of_threads(const struct tally *t)
{
	return site_at(t->site)->origin == ORIGIN_THREAD_STACK;
}

/* Measures what threads' stacks in use hold now. */
static int snapshot_measure_stacks(struct scratch *scratch, struct snapshot *out)
{
	struct tally_index index;
	struct mappings_range *list;
	size_t stacks = 0;

	for (size_t i = 0; i < out->count; i++)
		if (is_of_threads(&out->tallies[i])) {
			out->tallies[i].inuse_bytes = 0;
			stacks++;
		}
	if (!stacks)
		return 0;
	long count = mappings_copy(scratch, &list);
	if (count < 0 || tally_index_build(&index, scratch, out->tallies, out->count))
		return -1;
	for (long i = 0; i < count; i++) {
		const struct mappings_range *r = &list[i];
		uint32_t slot = 0;
		if (r->kind == MAPPINGS_THREAD_STACK && mappings_is_counted(r))
			slot = *tally_slot(&index, r->site);
		if (slot)
			out->tallies[slot - 1].inuse_bytes += (int64_t)inuse_range_bytes(r);
	}
	return 0;
}

int stacks_snapshot(struct scratch *scratch, uint64_t min_age_ns, struct snapshot *out)
{
	struct filling f = {.out = out, .figures = min_age_ns == 0, .last = stacks_latest_born()};

	/* Each thread may be about to list one site that already has its number. */
	f.room = (size_t)stacks_site_count() + MOST_ABOUT_TO;
	*out = (struct snapshot){.time_ns = clock_monotonic_ns()};
	out->tallies = scratch_alloc(scratch, f.room * sizeof(*out->tallies));
	if (!out->tallies)
		return -1;
	stacks_each_site(fill_one, &f);
	snapshot_sort(scratch, out);
	scratch->exhausted |= f.is_full;
	return min_age_ns ? snapshot_by_age(scratch, min_age_ns, out)
			  : snapshot_measure_stacks(scratch, out);
}

/*
 * The site's tally in the index, added if needed. If the site was reclaimed since, what was
 * allocated at it is now at the site of its origin.
 */
static struct tally *tally_of(const struct tally_index *index, const struct tally *b,
			      struct snapshot *out)
{
	uint32_t site = b->site;

	if (site_at(site)->born != b->born)
		site = stacks_reclaimed_to(SITE_BORN_ORIGIN(b->born));
	uint32_t *slot = tally_slot(index, site);
	if (!*slot) {
		*slot = (uint32_t)++out->count;
		out->tallies[*slot - 1] = (struct tally){.site = site, .born = site_at(site)->born};
	}
	return &out->tallies[*slot - 1];
}

static void subtract(const struct tally_index *index, const struct tally *b, struct snapshot *out)
{
	struct tally *t = tally_of(index, b, out);

	t->alloc_objects -= b->alloc_objects;
	t->alloc_bytes -= b->alloc_bytes;
	t->inuse_objects -= b->inuse_objects;
	t->inuse_bytes -= b->inuse_bytes;
}

/*
 * Allocated figures never decrease. An apparent decrease is the rounding of many sites that were
 * reclaimed to one. In views by age both figures are the same.
 */
static void keep_ascending(struct tally *t)
{
	if (t->alloc_bytes < 0 && t->alloc_bytes != t->inuse_bytes)
		t->alloc_bytes = 0;
	if (t->alloc_objects < 0 && t->alloc_objects != t->inuse_objects)
		t->alloc_objects = 0;
}

int stacks_difference(struct scratch *scratch, const struct snapshot *before,
		      const struct snapshot *after, struct snapshot *out)
{
	struct tally_index index;

	*out = (struct snapshot){.time_ns = after->time_ns, .count = after->count};
	out->tallies =
		scratch_alloc(scratch, (after->count + before->count) * sizeof(*out->tallies));
	if (!out->tallies)
		return -1;
	memcpy(out->tallies, after->tallies, after->count * sizeof(*out->tallies));
	if (tally_index_build(&index, scratch, out->tallies, out->count))
		return -1;
	for (size_t i = 0; i < before->count; i++)
		subtract(&index, &before->tallies[i], out);
	for (size_t i = 0; i < out->count; i++)
		keep_ascending(&out->tallies[i]);
	snapshot_drop_zeros(out);
	return 0;
}
