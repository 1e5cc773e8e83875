/* The profile cgoheap, proto/profile.proto, one message at a time. */
#include "record/control.h"
#include "profile.pb-c.h"
#include "base/clock.h"
#include "base/sys.h"
#include "base/work.h"
#include "profile/profile_ages.h"
#include "profile/profile_frees.h"
#include "profile/profile_go.h"
#include "profile/profile_labels.h"
#include "profile/profile_locations.h"

/* ---- header and comments ---------------------------------------------- */

static int64_t realtime_at(uint64_t monotonic_ns)
{
	uint64_t ago = clock_monotonic_ns() - monotonic_ns;
	return (int64_t)(clock_ns(CLOCK_REALTIME) - ago);
}

/* The four values of a sample. Those of PROFILE_LIVE are exactly Go's: runtime/pprof/protomem.go.
 * It sets no default sample type: pprof takes the last. */
typedef const char *const value_types[4][2];
static value_types heap_types = {{"alloc_objects", "count"},
				 {"alloc_space", "bytes"},
				 {"inuse_objects", "count"},
				 {"inuse_space", "bytes"}};
/* Each block that pins memory pins one free chunk. */
static value_types pinned_types = {{"pinning_objects", "count"},
				   {"pinning_space", "bytes"},
				   {"pinned_chunks", "count"},
				   {"pinned_space", "bytes"}};

/* waiting: in use where blocks are allocated that this stack frees. */
static value_types frees_types = {{"waiting_objects", "count"},
				  {"waiting_space", "bytes"},
				  {"freed_objects", "count"},
				  {"freed_space", "bytes"}};

static value_types *types_of(enum profile_view view)
{
	return view == PROFILE_PINNED  ? &pinned_types
	       : view == PROFILE_FREES ? &frees_types
				       : &heap_types;
}

static void write_header(struct profile_locations *w)
{
	value_types *of_view = types_of(w->job.options->view);
	const char *const(*types)[2] = *of_view;
	Pprof__ValueType values[COUNT_OF(heap_types)], *list[COUNT_OF(heap_types)];
	for (size_t i = 0; i < COUNT_OF(list); i++) {
		pprof__value_type__init(&values[i]);
		values[i].type = pprof_string(&w->stream, types[i][0]);
		values[i].unit = pprof_string(&w->stream, types[i][1]);
		list[i] = &values[i];
	}
	Pprof__ValueType period_type = PPROF__VALUE_TYPE__INIT;
	period_type.type = pprof_string(&w->stream, "space");
	period_type.unit = pprof_string(&w->stream, "bytes");
	Pprof__Profile header = PPROF__PROFILE__INIT;
	header.n_sample_type = COUNT_OF(list);
	header.sample_type = list;
	header.period_type = &period_type;
	header.period = control_get().sample_bytes;
	header.time_nanos = realtime_at(w->job.snapshot->time_ns);
	if (w->job.options->is_growth)
		header.duration_nanos = (int64_t)w->job.options->duration_ns;
	pprof_write(&w->stream, PPROF_TOP, &header);
}

static void write_comments(struct profile_locations *w)
{
	for (const char *const *c = profile_comments(&w->job); *c; c++)
		pprof_comment(&w->stream, *c);
}

static void add_word(struct profile_locations *w, struct profile_labels *labels, const char *key,
		     const char *word)
{
	Pprof__Label *label = profile_labels_add(labels);

	label->key = pprof_string(&w->stream, key);
	label->str = pprof_string(&w->stream, word);
}

static void add_freer(struct profile_locations *w, struct profile_labels *labels,
		      const struct tally *t)
{
	enum freed_by kind = profile_freed_by(&w->job, t);
	const char *by = w->job.options->view == PROFILE_FREES
				 ? profile_frees_allocated_by(&w->job, t->site)
				 : NULL;

	if (kind < FREED_BY_COUNT)
		add_word(w, labels, "freed_by", freed_by_names[kind]);
	if (by)
		add_word(w, labels, "allocated_by", by);
}

static void add_own_labels(struct profile_locations *w, struct profile_labels *labels,
			   const struct tally *t)
{
	const struct site *site = site_at(t->site);
	Pprof__Label *bytes;
	add_word(w, labels, "origin",
		 site->origin < ORIGIN_COUNT ? origin_names[site->origin] : "");
	if (tally_block_bytes(t)) { /* Go also leaves out a size of 0 */
		bytes = profile_labels_add(labels);
		bytes->key = pprof_string(&w->stream, "bytes");
		bytes->num = (int64_t)tally_block_bytes(t);
	}
	add_freer(w, labels, t);
	if (t->age)
		add_word(w, labels, "age", w->job.options->ages->labels[t->age]);
}

static size_t locations_of(struct profile_locations *w, const struct tally *t,
			   uint64_t ids[PROFILE_MAX_FRAMES])
{
	if (w->job.options->view != PROFILE_FREES || t->stack)
		return profile_locations_stack(w, profile_stack(&w->job, t), ids);
	if (!w->others_id)
		w->others_id = profile_locations_named(w, PROFILE_FREES_OTHERS);
	ids[0] = w->others_id;
	return 1;
}

static void write_sample(struct profile_locations *w, const struct tally *t)
{
	uint64_t ids[PROFILE_MAX_FRAMES];
	const struct stack *stack = stack_at(site_at(t->site)->stack);
	size_t count = locations_of(w, t, ids);

	int64_t values[] = {t->alloc_objects, t->alloc_bytes, t->inuse_objects, t->inuse_bytes};
	struct profile_labels labels;
	labels.count = 0;
	add_own_labels(w, &labels, t);
	profile_labels_add_set(&labels, &w->stream, stack->labels);
	Pprof__Sample p = PPROF__SAMPLE__INIT;
	p.n_location_id = count;
	p.location_id = ids;
	p.n_value = COUNT_OF(values);
	p.value = values;
	p.n_label = labels.count;
	p.label = labels.pointers;
	pprof_write(&w->stream, PPROF_SAMPLE, &p);
}

/* Writes the rest as one sample when time has run out, so that the profile's total is right. */
static void write_rest(struct profile_locations *w, size_t from)
{
	struct tally t = profile_sum(w->job.snapshot, from);
	uint64_t id = profile_locations_named(w, PROFILE_REST);
	int64_t values[] = {t.alloc_objects, t.alloc_bytes, t.inuse_objects, t.inuse_bytes};
	Pprof__Sample p = PPROF__SAMPLE__INIT;
	p.n_location_id = 1;
	p.location_id = &id;
	p.n_value = COUNT_OF(values);
	p.value = values;
	pprof_write(&w->stream, PPROF_SAMPLE, &p);
}

static void write_samples(struct profile_locations *w)
{
	const struct snapshot *s = w->job.snapshot;
	size_t i = 0;
	for (; i < s->count && work_may_go_on(5000) && !gzip_failed(w->stream.gzip); i++)
		if (!tally_is_zero(&s->tallies[i]))
			write_sample(w, &s->tallies[i]);
	if (i < s->count)
		write_rest(w, i);
	if (work_was_cut())
		pprof_comment(&w->stream, WORK_MISSING);
}

/* ---- the profile ------------------------------------------------------ */

static void name_ages(const struct profile_ages *ages, struct pprof_stream *stream)
{
	pprof_string(stream, "age");
	for (size_t i = 0; i < ages->count; i++)
		pprof_string(stream, ages->labels[i]);
}

/* Few strings, used by every sample: added before symbols can fill the table. */
static void name_labels(struct profile_locations *w)
{
	pprof_string(&w->stream, "origin");
	pprof_string(&w->stream, "bytes");
	for (size_t i = 0; i < ORIGIN_COUNT; i++)
		pprof_string(&w->stream, origin_names[i]);
	pprof_string(&w->stream, "freed_by");
	pprof_string(&w->stream, "allocated_by");
	for (size_t i = 0; i < FREED_BY_COUNT; i++)
		pprof_string(&w->stream, freed_by_names[i]);
	if (w->job.options->ages)
		name_ages(w->job.options->ages, &w->stream);
	if (w->job.options->go.bytes)
		profile_go_name_labels(&w->stream);
}

int profile_write_proto(struct scratch *scratch, const struct snapshot *snapshot,
			const struct profile_options *options, struct sink *sink)
{
	struct profile_locations *w = profile_locations_open(scratch, sink);
	struct profile_error error;
	if (!w)
		return -1;
	profile_error_read(&error, scratch, snapshot, options);
	profile_job_prepare(&w->job, scratch, &error.snapshot, options);
	w->job.error = &error;
	write_header(w);
	name_labels(w);
	write_comments(w);
	profile_locations_write(w);
	write_samples(w);
	if (options->go.bytes)
		profile_go_write(w, &options->go, &options->go_before);
	return profile_locations_close(w);
}
