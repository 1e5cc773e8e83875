/* See profile_error.h. */
#include "profile/profile_error.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "record/live.h"
#include "record/sample.h"
#include "record/variance.h"
#include "base/sort.h"
#include "profile/profile_job.h"

/* Of one sample's values, each without its unit: of objects, and of bytes. */
struct spread {
	double objects, bytes;
};

struct work {
	const struct snapshot *snapshot;
	const struct profile_options *options;
	struct sample_intervals intervals;
	double freed_interval; /* at which what was freed has the variance that is left for it */
	struct spread *live;   /* variance of what is in use, by place; NULL: not known */
	struct index places;   /* by site */
	struct {
		uint64_t size;
		uint32_t interval;
		struct spread variance;
	} last; /* many blocks are like the one before */
};

/* ---- one block, one sample ----------------------------------------------- */

/* (1-p) / p: what a unit of a value that blocks of this size make up adds to its variance. */
static double spread_of(double size, double interval)
{
	return interval <= 1 || size <= 0 ? 0 : 1 / expm1(size / interval);
}

static struct spread variance_of(uint64_t size, uint32_t interval)
{
	double spread = spread_of((double)size, interval);

	return (struct spread){spread * (1 + spread),
			       (double)size * (double)size * spread * (1 + spread)};
}

static bool is_sampled(const struct tally *t)
{
	return site_at(t->site)->origin == ORIGIN_MALLOC;
}

/*
 * The variance of these values if all were sampled at this interval. Of several sizes the bytes' is
 * that of the smallest possible blocks, the objects' that of blocks of the mean size.
 */
static struct spread at_interval(const struct tally *t, double objects, double bytes,
				 double interval)
{
	bool is_mixed = site_at(t->site)->mixed || t->is_many;
	double size = (double)site_at(t->site)->size;

	if (!is_sampled(t) || interval <= 1)
		return (struct spread){0, 0};
	if (is_mixed)
		size = objects > 0 ? bytes / objects : 0;
	double spread = spread_of(size, interval);
	return (struct spread){objects * spread, bytes * (is_mixed ? interval : size * spread)};
}

static struct spread at_coarsest(const struct work *w, const struct tally *t, double objects,
				 double bytes)
{
	return at_interval(t, objects, bytes, w->intervals.coarsest);
}

/* ---- the live blocks ------------------------------------------------------- */

static uint32_t *place_of(struct work *w, uint32_t site)
{
	uint32_t slot = index_first(&w->places, site);

	while (w->places.slots[slot] &&
	       w->snapshot->tallies[w->places.slots[slot] - 1].site != site)
		slot = index_next(&w->places, slot);
	return &w->places.slots[slot];
}

static void add_block(const struct live_block *block, void *arg)
{
	struct work *w = arg;
	uint32_t place = *place_of(w, block->site);

	if (!place)
		return;
	if (block->size != w->last.size || block->interval != w->last.interval) {
		w->last.size = block->size;
		w->last.interval = block->interval;
		w->last.variance = variance_of(block->size, block->interval);
	}
	w->live[place - 1].objects += w->last.variance.objects;
	w->live[place - 1].bytes += w->last.variance.bytes;
}

static bool has_mixed(const struct snapshot *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (site_at(s->tallies[i].site)->mixed && s->tallies[i].inuse_bytes)
			return true;
	return false;
}

/* A view by age, another view and a difference count other blocks than those that are live, and
 * with ages a site has several tallies. */
static bool needs_blocks(const struct work *w)
{
	const struct profile_options *o = w->options;

	return w->intervals.coarsest > 1 && !o->is_growth && !o->min_age_ns && !o->ages &&
	       o->view == PROFILE_LIVE &&
	       (w->intervals.finest != w->intervals.coarsest || has_mixed(w->snapshot));
}

static void read_blocks(struct work *w, struct scratch *scratch)
{
	size_t count = w->snapshot->count;
	struct spread *live = scratch_alloc(scratch, (count + 1) * sizeof(*live));

	if (!live || index_init(scratch, &w->places, (uint32_t)count))
		return;
	memset(live, 0, count * sizeof(*live));
	for (size_t i = 0; i < count; i++)
		*place_of(w, w->snapshot->tallies[i].site) = (uint32_t)i + 1;
	w->live = live;
	live_each(add_block, w);
}

/* ---- each sample's interval ------------------------------------------------ */

/*
 * The interval at which blocks of this size have this spread; of many sizes it may be above all
 * that were in force. In steps of an eighth of an octave, rounded up, so that few different ones
 * are left to name; but exactly the finest and the coarsest.
 */
static uint32_t interval_with(const struct work *w, double size, double spread)
{
	double interval = spread > 0 ? size / log1p(1 / spread) : 1;
	double finest = w->intervals.finest, coarsest = w->intervals.coarsest;

	if (fabs(interval - coarsest) < coarsest * 0.001)
		return w->intervals.coarsest;
	if (fabs(interval - finest) < finest * 0.001)
		return w->intervals.finest;
	interval = ceil(exp2(ceil(log2(fmax(interval, 1)) * 8) / 8));
	return interval < UINT32_MAX ? (uint32_t)interval : UINT32_MAX;
}

/* A sample's interval for its bytes and, in the high half, its objects. */
static uint64_t interval_of(const struct work *w, size_t place)
{
	const struct tally *t = &w->snapshot->tallies[place];
	const struct site *site = site_at(t->site);
	double bytes = (double)t->inuse_bytes, objects = (double)t->inuse_objects;
	uint64_t of_bytes = w->intervals.coarsest, of_objects = of_bytes;

	if (is_sampled(t) && bytes > 0 && objects > 0) {
		double size = site->mixed ? bytes / objects : (double)site->size;
		of_bytes = of_objects = interval_with(w, size, w->live[place].bytes / bytes / size);
		if (site->mixed)
			of_objects = interval_with(w, size, w->live[place].objects / objects);
	}
	return of_objects << 32 | of_bytes;
}

/* Sorted by interval. NULL: one interval is right for all, or there is no scratch. */
static struct sort_item *intervals_sorted(const struct work *w, struct scratch *scratch,
					  size_t *count)
{
	uint64_t usual = (uint64_t)w->intervals.coarsest << 32 | w->intervals.coarsest;
	struct sort_item *items = scratch_alloc(scratch, (w->snapshot->count + 1) * sizeof(*items));
	bool differs = false;

	*count = 0;
	for (size_t i = 0; items && i < w->snapshot->count; i++) {
		if (tally_is_zero(&w->snapshot->tallies[i]))
			continue;
		items[*count] = (struct sort_item){.key = interval_of(w, i), .value = i};
		differs |= items[(*count)++].key != usual;
	}
	if (!items || !differs)
		return NULL;
	sort_items(items, *count);
	return items;
}

/* ---- what is said ---------------------------------------------------------- */

#define COMMENT_BYTES 4096

static const char *comment_of_order(struct scratch *scratch, const struct sort_item *items,
				    size_t count)
{
	char *text = scratch_alloc(scratch, COMMENT_BYTES);
	size_t end;

	if (!text)
		return NULL;
	size_t used = (size_t)snprintf(text, COMMENT_BYTES, "intervals of samples, in order:");
	for (size_t i = 0; i < count && used < COMMENT_BYTES; i = end) {
		uint64_t key = items[i].key;
		for (end = i + 1; end < count && items[end].key == key; end++)
			;
		used += (size_t)snprintf(text + used, COMMENT_BYTES - used, "%s %zu at %" PRIu32,
					 i ? "," : "", end - i, (uint32_t)key);
		if (used < COMMENT_BYTES && (uint32_t)key != key >> 32)
			used += (size_t)snprintf(text + used, COMMENT_BYTES - used,
						 " (objects %" PRIu64 ")", key >> 32);
	}
	return used < COMMENT_BYTES ? text : NULL;
}

/* Puts the samples into this order, and says so. */
static const char *reorder(struct snapshot *s, struct scratch *scratch,
			   const struct sort_item *items, size_t count)
{
	struct tally *tallies = scratch_alloc(scratch, (count + 1) * sizeof(*tallies));
	const char *comment = tallies ? comment_of_order(scratch, items, count) : NULL;

	if (!comment)
		return NULL;
	for (size_t i = 0; i < count; i++)
		tallies[i] = s->tallies[items[i].value];
	s->tallies = tallies;
	s->count = count;
	return comment;
}

static const char *comment_of_totals(struct scratch *scratch, const double variance[4])
{
	char *text = scratch_alloc(scratch, 256);

	if (text)
		snprintf(text, 256,
			 "standard errors: alloc_objects %.0f, alloc_space %.0f, inuse_objects "
			 "%.0f, inuse_space %.0f",
			 sqrt(variance[0]), sqrt(variance[1]), sqrt(variance[2]),
			 sqrt(variance[3]));
	return text;
}

static const char *comment_of_intervals(struct scratch *scratch, const struct work *w)
{
	char *text = scratch_alloc(scratch, 128);

	if (text)
		snprintf(text, 128,
			 "intervals so far: %" PRIu32 " to %" PRIu32
			 " bytes, freed blocks as if at %.0f",
			 w->intervals.finest, w->intervals.coarsest, w->freed_interval);
	return text;
}

/* ---- the totals --------------------------------------------------------- */

/* What an interval makes of the values allocated and not in use. */
static struct spread of_freed(const struct tally *t, double interval)
{
	return at_interval(t, (double)(t->alloc_objects - t->inuse_objects),
			   (double)(t->alloc_bytes - t->inuse_bytes), interval);
}

static struct spread of_live(const struct work *w, size_t place)
{
	const struct tally *t = &w->snapshot->tallies[place];

	if (w->live)
		return w->live[place];
	return at_coarsest(w, t, (double)t->inuse_objects, (double)t->inuse_bytes);
}

static void add(double variance[4], struct spread alloc, struct spread inuse)
{
	variance[0] += alloc.objects;
	variance[1] += alloc.bytes;
	variance[2] += inuse.objects;
	variance[3] += inuse.bytes;
}

static void add_sample(const struct work *w, size_t place, double variance[4])
{
	struct spread freed = of_freed(&w->snapshot->tallies[place], w->freed_interval);
	struct spread inuse = of_live(w, place);

	add(variance, (struct spread){freed.objects + inuse.objects, freed.bytes + inuse.bytes},
	    inuse);
}

static double freed_bytes_variance(const struct work *w, double interval)
{
	double sum = 0;

	for (size_t i = 0; i < w->snapshot->count; i++)
		sum += of_freed(&w->snapshot->tallies[i], interval).bytes;
	return sum;
}

#define FIT_STEPS 12 /* to 1/200 of an octave at most */

/* Finds freed_interval between the finest and the coarsest: the variance rises with it. */
static void fit_freed(struct work *w)
{
	double low = log2(w->intervals.finest), high = log2(w->intervals.coarsest);
	double left = (double)variance_get().bytes;

	for (size_t i = 0; i < w->snapshot->count; i++)
		left -= of_live(w, i).bytes;
	for (int i = 0; i < FIT_STEPS; i++) {
		double middle = (low + high) / 2;
		if (freed_bytes_variance(w, exp2(middle)) < left)
			low = middle;
		else
			high = middle;
	}
	w->freed_interval = exp2(high);
}

/*
 * Of what was allocated in between at most all is still in use, and then what was freed is the
 * difference.
 */
static void add_growth(const struct work *w, size_t place, double variance[4])
{
	const struct tally *t = &w->snapshot->tallies[place];
	double objects = fabs((double)t->alloc_objects), bytes = fabs((double)t->alloc_bytes);
	double grown_objects = (double)t->inuse_objects, grown_bytes = (double)t->inuse_bytes;

	add(variance, at_coarsest(w, t, objects, bytes),
	    at_coarsest(w, t, fmax(2 * objects - grown_objects, fabs(grown_objects)),
			fmax(2 * bytes - grown_bytes, fabs(grown_bytes))));
}

void profile_error_read(struct profile_error *error, struct scratch *scratch,
			const struct snapshot *snapshot, const struct profile_options *options)
{
	struct work w = {.snapshot = snapshot, .options = options, .intervals = sample_intervals()};
	double variance[4] = {0};
	struct sort_item *items = NULL;
	size_t count, lines = 0;

	*error = (struct profile_error){.snapshot = *snapshot};
	if (w.intervals.coarsest <= 1 || options->view == PROFILE_PINNED ||
	    options->view == PROFILE_FREES)
		return;
	w.freed_interval = w.intervals.coarsest;
	if (needs_blocks(&w))
		read_blocks(&w, scratch);
	bool has_changed = w.intervals.finest != w.intervals.coarsest;
	if (has_changed && w.live)
		fit_freed(&w);
	for (size_t i = 0; i < snapshot->count; i++)
		(options->is_growth ? add_growth : add_sample)(&w, i, variance);
	if (variance[1] > 0 && (error->comments[lines] = comment_of_totals(scratch, variance)))
		lines++;
	if (has_changed && (error->comments[lines] = comment_of_intervals(scratch, &w)))
		lines++;
	if (w.live && options->format == PROFILE_GZIP)
		items = intervals_sorted(&w, scratch, &count);
	if (items)
		error->comments[lines] = reorder(&error->snapshot, scratch, items, count);
}
