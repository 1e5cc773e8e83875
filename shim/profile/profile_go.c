/* See profile_go.h. */
#include "profile/profile_go.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "profile/goheap.h"

#define COMMENT_BYTES 96

static void write_rate(struct profile_locations *w, const struct goheap *heap)
{
	char line[COMMENT_BYTES];
	int64_t rate = goheap_period(heap);
	int n = rate == 1 ? snprintf(line, sizeof(line), "Go's heap: every allocation")
			  : snprintf(line, sizeof(line),
				     "Go's heap: sampled every %" PRId64 " bytes on average", rate);
	pprof_comment(&w->stream, scratch_strdup(w->job.scratch, line, (size_t)n));
}

/* NULL: it cannot be read, and a comment says so. */
static struct goheap *open_heap(struct profile_locations *w, const struct go_heap *bytes)
{
	struct goheap *heap = goheap_open(w->job.scratch, &w->stream, bytes->bytes, bytes->count);
	if (!heap)
		pprof_comment(&w->stream, PROFILE_GO_DAMAGED_COMMENT);
	return heap;
}

/* ---- beside the C heap -------------------------------------------------- */

/*
 * Samples of the earlier profile, by key. A stack that is in both profiles appears once in the
 * difference, or not at all if nothing changed, because readers do not cancel one sample against
 * the other. If several samples have one key, the first holds the sum.
 */
struct old_sample {
	uint64_t key;
	int64_t values[GOHEAP_VALUES];
};
struct old_samples {
	struct index index;
	struct old_sample *list;
	uint32_t count, capacity;
};

struct side {
	struct pprof_stream *stream;
	struct old_samples old; /* capacity 0: not a difference */
	bool is_before;         /* writing samples of the earlier profile that are not in the
				 * later one */
};

static struct old_sample *old_find(const struct old_samples *old, uint64_t key, uint32_t *slot)
{
	*slot = index_first(&old->index, key);
	for (uint32_t n; (n = old->index.slots[*slot]); *slot = index_next(&old->index, *slot))
		if (old->list[n - 1].key == key)
			return &old->list[n - 1];
	return NULL;
}

static void old_add(void *arg, Pprof__Sample *s, uint64_t key)
{
	struct old_samples *old = arg;
	uint32_t slot;
	struct old_sample *o = old_find(old, key, &slot);
	if (!o && old->count == old->capacity)
		return;
	if (!o) {
		o = &old->list[old->count++];
		o->key = key;
		old->index.slots[slot] = old->count;
	}
	for (size_t i = 0; i < GOHEAP_VALUES; i++)
		o->values[i] = (int64_t)((uint64_t)o->values[i] + (uint64_t)s->value[i]);
}

/* 0, or -1 without memory. */
static int old_read(struct old_samples *old, struct scratch *scratch, struct goheap *heap)
{
	old->capacity = goheap_sample_count(heap);
	old->list = scratch_alloc(scratch, old->capacity * sizeof(*old->list));
	if (!old->list || index_init(scratch, &old->index, old->capacity))
		return -1;
	goheap_each(heap, old_add, old);
	return 0;
}

/* Subtracts the earlier values from values. */
static void old_take(struct old_samples *old, uint64_t key, int64_t *values)
{
	uint32_t slot;
	struct old_sample *o = old_find(old, key, &slot);
	for (size_t i = 0; o && i < GOHEAP_VALUES; i++) {
		values[i] = (int64_t)((uint64_t)values[i] - (uint64_t)o->values[i]);
		o->values[i] = 0;
	}
}

static bool is_zero(const int64_t *values)
{
	for (size_t i = 0; i < GOHEAP_VALUES; i++)
		if (values[i])
			return false;
	return true;
}

/* Go never forgets a stack that allocated; if a later profile lacks it, the reason is unknown. */
static bool old_is_left(const struct old_samples *old)
{
	for (uint32_t i = 0; i < old->count; i++)
		if (!is_zero(old->list[i].values))
			return true;
	return false;
}

void profile_go_name_labels(struct pprof_stream *s)
{
	pprof_string(s, "origin");
	pprof_string(s, "go");
}

static void emit_side(void *arg, Pprof__Sample *s, uint64_t key)
{
	struct side *side = arg;
	Pprof__Label origin = PPROF__LABEL__INIT;
	if (side->is_before) /* not matched by a later sample */
		memset(s->value, 0, GOHEAP_VALUES * sizeof(*s->value));
	if (side->old.capacity)
		old_take(&side->old, key, s->value);
	/* Go also lists stacks that only allocated since the collection that its figures are
	 * from. */
	if (is_zero(s->value))
		return;
	origin.key = pprof_string(side->stream, "origin");
	origin.str = pprof_string(side->stream, "go");
	s->label[s->n_label++] = &origin;
	pprof_write(side->stream, PPROF_SAMPLE, s);
}

void profile_go_write(struct profile_locations *w, const struct go_heap *now,
		      const struct go_heap *before)
{
	struct side side = {.stream = &w->stream};
	struct goheap *heap = open_heap(w, now), *old = NULL;
	if (!heap || (before->bytes && !(old = open_heap(w, before))))
		return;
	if (old && old_read(&side.old, w->job.scratch, old)) {
		pprof_comment(&w->stream, PROFILE_GO_DAMAGED_COMMENT);
		return;
	}
	write_rate(w, heap);
	goheap_write(heap, w, emit_side, &side);
	side.is_before = true;
	if (old_is_left(&side.old))
		goheap_write(old, w, emit_side, &side);
}

/* ---- in the memory profile ---------------------------------------------- */

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t scaled(uint64_t bytes, uint64_t to, uint64_t from)
{
	return (uint64_t)((unsigned __int128)bytes * to / from);
}

/*
 * Shares of `from` bytes that sum to `to`. Each share is the increase of the scaled running sum,
 * so rounding errors do not add up.
 */
struct shares {
	uint64_t from, to;
	uint64_t sum, given; /* running totals of both */
};

static uint64_t shares_next(struct shares *s, uint64_t bytes)
{
	s->sum += lower(bytes, s->from - s->sum);
	uint64_t share = scaled(s->sum, s->to, s->from) - s->given;
	s->given += share;
	return share;
}

struct memory_writer {
	struct profile_locations *places;
	uint64_t root;
	struct shares shares;
};

static void emit_memory(void *arg, Pprof__Sample *s, uint64_t key)
{
	struct memory_writer *w = arg;
	(void)key;
	int64_t live = s->value[GOHEAP_INUSE_BYTES];
	uint64_t share = live > 0 ? shares_next(&w->shares, (uint64_t)live) : 0;
	if (!share)
		return;
	s->location_id[s->n_location_id++] = w->root;
	s->n_label = 0;
	s->n_value = 1;
	s->value[0] = (int64_t)share;
	pprof_write(&w->places->stream, PPROF_SAMPLE, s);
}

static void write_row(struct memory_writer *w, const char *name, uint64_t bytes)
{
	int64_t value = (int64_t)bytes;
	Pprof__Sample p = PPROF__SAMPLE__INIT;
	if (!bytes)
		return;
	uint64_t ids[] = {profile_locations_named(w->places, name), w->root};
	p.n_location_id = COUNT_OF(ids);
	p.location_id = ids;
	p.n_value = 1;
	p.value = &value;
	pprof_write(&w->places->stream, PPROF_SAMPLE, &p);
}

/* a - b; 0 if either is unknown or b is larger. */
static uint64_t excess(uint64_t a, uint64_t b)
{
	return a != UNKNOWN && b != UNKNOWN && a > b ? a - b : 0;
}

/*
 * The part of the heap that is not a live object with a stack. Go also counts pages that it
 * never touched, so its figures are scaled down if they exceed what is resident.
 */
static void write_rest(struct memory_writer *w, const struct go_stats *stats, uint64_t live,
		       uint64_t rest)
{
	const uint64_t *f = stats->runtime;
	uint64_t marked = f[CGOHEAP_GO_HEAP_LIVE];
	const struct {
		const char *name;
		uint64_t bytes;
	} parts[] = {
		/* Missed by sampling, or not in the profile yet. */
		{"[stack not known]", excess(marked, live)},
		{"[dead or new objects]",
		 excess(f[CGOHEAP_GO_HEAP_OBJECTS],
			marked != UNKNOWN && marked > live ? marked : live)},
		{"[free slots in spans]", excess(f[CGOHEAP_GO_HEAP_UNUSED], 0)},
		{"[free spans]", excess(f[CGOHEAP_GO_HEAP_FREE], 0)},
	};
	struct shares shares = {0};
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (__builtin_add_overflow(shares.from, parts[i].bytes, &shares.from))
			return write_row(w, "[stack not known]", rest);
	shares.to = lower(shares.from, rest);
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (parts[i].bytes)
			write_row(w, parts[i].name, shares_next(&shares, parts[i].bytes));
	write_row(w, shares.from ? "[not in Go's figures]" : "[stack not known]", rest - shares.to);
}

void profile_go_write_memory(struct profile_locations *places, uint64_t root,
			     const struct go_heap *bytes, const struct go_stats *stats,
			     uint64_t resident)
{
	struct memory_writer w = {.places = places, .root = root};
	struct goheap *heap = NULL;
	if (bytes->bytes)
		heap = open_heap(places, bytes);
	else
		pprof_comment(&places->stream, PROFILE_GO_MISSED_COMMENT);
	if (heap) {
		write_rate(places, heap);
		w.shares.from = goheap_inuse_bytes(heap);
		w.shares.to = lower(w.shares.from, resident);
	}
	write_rest(&w, stats, w.shares.from, resident - w.shares.to);
	if (heap && w.shares.from)
		goheap_write(heap, places, emit_memory, &w);
}
