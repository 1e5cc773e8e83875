/* See profile_go.h. */
#include "profile_go.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "goheap.h"

#define COMMENT_BYTES 96

static void write_rate(struct profile_places *w, const struct goheap *heap)
{
	char line[COMMENT_BYTES];
	int64_t rate = goheap_period(heap);
	int n = rate == 1 ? snprintf(line, sizeof(line), "Go's heap: every allocation")
			  : snprintf(line, sizeof(line),
				     "Go's heap: sampled every %" PRId64 " bytes on average", rate);
	pprof_comment(&w->stream, scratch_strdup(w->job.scratch, line, (size_t)n));
}

/* NULL: it has been said that it cannot be read. */
static struct goheap *open_heap(struct profile_places *w, const struct go_heap *bytes)
{
	struct goheap *heap = goheap_open(w->job.scratch, &w->stream, bytes->bytes, bytes->count);
	if (!heap)
		pprof_comment(&w->stream, PROFILE_GO_DAMAGED_COMMENT);
	return heap;
}

/* ---- beside the C heap -------------------------------------------------- */

struct side {
	struct pprof_stream *stream;
	bool is_before;
};

void profile_go_name_labels(struct pprof_stream *s)
{
	pprof_string(s, "origin");
	pprof_string(s, "go");
}

static void emit_side(void *arg, Pprof__Sample *s)
{
	struct side *side = arg;
	Pprof__Label origin = PPROF__LABEL__INIT;
	origin.key = pprof_string(side->stream, "origin");
	origin.str = pprof_string(side->stream, "go");
	s->label[s->n_label++] = &origin;
	for (size_t i = 0; side->is_before && i < s->n_value; i++)
		s->value[i] = (int64_t)(0 - (uint64_t)s->value[i]);
	pprof_write(side->stream, PPROF_SAMPLE, s);
}

void profile_go_write(struct profile_places *w, const struct go_heap *now,
		      const struct go_heap *before)
{
	struct side side = {.stream = &w->stream};
	struct goheap *heap = open_heap(w, now), *old = NULL;
	if (!heap || (before->bytes && !(old = open_heap(w, before))))
		return;
	write_rate(w, heap);
	goheap_write(heap, w, emit_side, &side);
	side.is_before = true;
	if (old)
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
 * Shares of `from` bytes that sum to `to`: each is what the sum so far gained, so
 * that what rounding takes from one the next one has.
 */
struct shares {
	uint64_t from, to;
	uint64_t sum, given; /* so far, of each */
};

static uint64_t shares_next(struct shares *s, uint64_t bytes)
{
	s->sum += lower(bytes, s->from - s->sum);
	uint64_t share = scaled(s->sum, s->to, s->from) - s->given;
	s->given += share;
	return share;
}

struct memory_writer {
	struct profile_places *places;
	uint64_t root;
	struct shares shares;
};

static void emit_memory(void *arg, Pprof__Sample *s)
{
	struct memory_writer *w = arg;
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
	uint64_t ids[] = {profile_places_named(w->places, name), w->root};
	p.n_location_id = COUNT_OF(ids);
	p.location_id = ids;
	p.n_value = 1;
	p.value = &value;
	pprof_write(&w->places->stream, PPROF_SAMPLE, &p);
}

/* a - b; 0 where either is not known, or b is more. */
static uint64_t excess(uint64_t a, uint64_t b)
{
	return a != UNKNOWN && b != UNKNOWN && a > b ? a - b : 0;
}

/*
 * What of the heap is no live object with a stack.  Go counts pages that it never
 * touched, too: its figures are scaled down where they are more than there is.
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
		/* What sampling missed, or the profile has not yet. */
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

void profile_go_write_memory(struct profile_places *places, uint64_t root,
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
