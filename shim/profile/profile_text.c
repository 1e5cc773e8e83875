/*
 * The profile as text, in the style of Go's heap?debug=1; pprof's parser of old heap profiles
 * reads it too (profile/legacy_profile.go).
 *
 * Go's figures there are the sampled ones, and pprof scales them up by the rate in the header.
 * Ours are already scaled, block by block, so the header gives pprof the rate 1, at which it
 * leaves them unchanged. The true rate is in a comment.
 */
#include <inttypes.h>
#include <string.h>

#include "base/sort.h"
#include "base/work.h"
#include "text/text.h"
#include "go/gosym.h"
#include "profile/profile_ages.h"
#include "profile/profile_job.h"
#include "profile/profile_frees.h"
#include "profile/profile_labels.h"

/* pprof's parser halves it: see runtime/pprof/pprof.go, writeHeapInternal. */
#define HEADER_RATE 2

/* ---- order: in-use bytes, most first ----------------------------------- */

/* Indexes into s->tallies; NULL: out of scratch. */
static struct sort_item *tallies_ordered(struct scratch *scratch, const struct snapshot *s,
					 size_t *count)
{
	struct sort_item *items = scratch_alloc(scratch, (s->count + 1) * sizeof(*items));
	*count = 0;
	for (size_t i = 0; items && i < s->count; i++) {
		if (tally_is_zero(&s->tallies[i]))
			continue;
		/* Keys are sorted ascending, so the largest comes first; growth may be negative. */
		uint64_t key = (uint64_t)INT64_MAX - (uint64_t)s->tallies[i].inuse_bytes;
		items[(*count)++] = (struct sort_item){.key = key, .value = i};
	}
	if (items)
		sort_items(items, *count);
	return items;
}

/* ---- lines ------------------------------------------------------------ */

/* pprof treats two equal columns as one and drops the first. Go adds a byte to avoid that,
 * and so do we. The header has no sign: a decrease is written as 0, with a comment. */
static void text_header(struct text *t, const struct tally *sum)
{
	int64_t objects = sum->inuse_objects > 0 ? sum->inuse_objects : 0;
	int64_t bytes = sum->inuse_bytes > 0 ? sum->inuse_bytes : 0;
	text_printf(t,
		    "heap profile: %" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @ heap/%d\n",
		    objects, bytes, sum->alloc_objects,
		    sum->alloc_bytes + (sum->alloc_bytes == bytes), HEADER_RATE);
	if (objects != sum->inuse_objects || bytes != sum->inuse_bytes)
		text_printf(t, "# in use: %" PRId64 ": %" PRId64 "\n", sum->inuse_objects,
			    sum->inuse_bytes);
}

/* Writes what is known of an address: function+offset, file:line. */
static void text_source_line(struct text *t, uint64_t pc, const struct location *l,
			     const struct source_line *s, uint64_t entry)
{
	text_printf(t, "#\t%#" PRIx64 "\t", pc - 1);
	text_string(t, *s->function ? s->function : "?");
	if (entry && entry < pc)
		text_printf(t, "+%#" PRIx64, pc - 1 - entry);
	if (*s->file) {
		text_string(t, "\t");
		text_string(t, s->file);
		text_printf(t, ":%" PRId64, s->line);
	} else if (l->module) {
		text_string(t, "\t");
		text_string(t, l->module->path);
	}
	text_string(t, "\n");
}

static void text_frame(struct text *t, const struct profile_frame *f)
{
	char name[SYNTHETIC_NAME_BYTES];
	const struct location *l = f->location;
	struct gosym_func go = {0};
	if (f->synthetic) {
		synthetic_name(f->synthetic, name);
		text_printf(t, "#\t%s\n", name);
		return;
	}
	if (l && l->is_go)
		gosym_find(f->pc - 1, &go);
	for (uint32_t i = 0; l && i < l->line_count; i++)
		text_source_line(t, f->pc, l, &l->lines[i], go.entry);
	if (l && l->line_count)
		return;
	text_printf(t, "#\t%#" PRIx64, f->pc - 1);
	text_string(t, l && l->module ? "\t" : "");
	text_string(t, l && l->module ? l->module->path : "");
	text_string(t, "\n");
}

/*
 * pprof rejects a line that has bytes but no objects, and all lines after it. A growth profile
 * can have one: a stack of many sizes that freed as many blocks as it allocated. It is written
 * as a comment.
 */
static void text_figures(struct text *t, const struct tally *y)
{
	if (y->inuse_objects == 0 && y->inuse_bytes != 0)
		text_string(t, "# ");
	text_printf(t, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @", y->inuse_objects,
		    y->inuse_bytes, y->alloc_objects, y->alloc_bytes);
}

static void text_tally(struct text *t, const struct profile_job *job, const struct tally *y)
{
	const struct site *site = site_at(y->site);
	const struct stack *stack = profile_stack(job, y);
	enum freed_by kind = profile_freed_by(job, y);
	const char *by = job->options->view == PROFILE_FREES
				 ? profile_frees_allocated_by(job, y->site)
				 : NULL;
	struct profile_frame frames[PROFILE_MAX_FRAMES];
	text_figures(t, y);
	for (uint32_t i = 0; i < stack->frame_count; i++)
		text_printf(t, " %#" PRIx64, stack->frames[i]);
	text_printf(t, "\n#\torigin=%s",
		    site->origin < ORIGIN_COUNT ? origin_names[site->origin] : "?");
	if (!site->mixed && !y->is_many)
		text_printf(t, " bytes=%" PRIu64, site->size);
	if (y->age)
		text_printf(t, " age=%s", job->options->ages->labels[y->age]);
	if (kind < FREED_BY_COUNT)
		text_printf(t, " freed_by=%s", freed_by_names[kind]);
	text_string(t, by ? " allocated_by=" : "");
	text_string(t, by ? by : "");
	if (job->options->view == PROFILE_FREES && !y->stack)
		text_string(t, " " PROFILE_FREES_OTHERS);
	text_string(t, "\n");
	profile_labels_text(t, stack->labels);
	size_t count = profile_frames(job, stack, frames);
	for (size_t i = 0; i < count; i++)
		text_frame(t, &frames[i]);
	text_string(t, "\n");
}

static bool has_room(const struct text *t, const struct profile_options *options)
{
	return !t->failed && (!options->most_text_bytes || t->flushed < options->most_text_bytes);
}

int profile_write_text(struct scratch *scratch, const struct snapshot *snapshot,
		       const struct profile_options *options, struct sink *sink)
{
	struct text *t = scratch_alloc(scratch, sizeof(*t));
	struct profile_job *job = scratch_alloc(scratch, sizeof(*job));
	struct profile_error error;
	size_t count;
	if (!t || !job)
		return -1;
	struct sort_item *order = tallies_ordered(scratch, snapshot, &count);
	if (!order)
		return -1;
	text_init(t, sink);
	profile_error_read(&error, scratch, snapshot, options);
	profile_job_prepare(job, scratch, snapshot, options);
	job->error = &error;
	struct tally sum = profile_sum(snapshot, 0);
	text_header(t, &sum);
	size_t shown = 0;
	for (; shown < count && has_room(t, options) && work_may_go_on(20000); shown++)
		text_tally(t, job, &snapshot->tallies[order[shown].value]);
	if (shown < count && !has_room(t, options))
		text_printf(t,
			    "# incomplete: no memory for more text: the %zu smallest of %zu "
			    "stacks are not shown; without debug=1 all are\n",
			    count - shown, count);
	else if (shown < count)
		text_printf(t, "# %s: the %zu smallest of %zu stacks are not shown\n", WORK_MISSING,
			    count - shown, count);
	else if (work_was_cut())
		text_string(t, "# " WORK_MISSING "\n");
	for (const char *const *c = profile_comments(job); *c; c++) {
		text_string(t, "# ");
		text_string(t, *c);
		text_string(t, "\n");
	}
	if (scratch->exhausted)
		text_string(t, "# " PROFILE_PARTIAL_COMMENT "\n");
	profile_job_end(job);
	return text_flush(t);
}
