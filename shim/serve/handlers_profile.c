/* See handlers_profile.h. */
#include "serve/handlers_profile.h"

#include "base/clock.h"
#include "base/seccomp.h"
#include "go/bridge.h"
#include "record/cohorts.h"
#include "record/stacks.h"
#include "profile/profile_ages.h"
#include "profile/profile_frees.h"
#include "serve/handlers_memory.h"
#include "serve/params.h"
#include "serve/status.h"
#include "serve/view_peak.h"

#define MAX_SECONDS 3600

int handlers_profile_write(struct answer *a, struct scratch *work, const struct snapshot *snapshot)
{
	a->options.most_text_bytes = region_scratch_max_bytes() / 2; /* the rest is needed to
								      * build it */
	return profile_write(work, snapshot, &a->options, &a->body.sink);
}

static int write_profile(struct answer *a, struct scratch *work, const struct snapshot *snapshot)
{
	a->options.comments = status_comments(work);
	return a->options.comments ? handlers_profile_write(a, work, snapshot) : -1;
}

/* What is in use by age: with_ages. */
static int build_ages(struct answer *a, struct scratch *work)
{
	struct cohorts *cohorts = scratch_alloc(work, sizeof(*cohorts));
	struct profile_ages ages;
	if (cohorts == NULL || cohorts_read(work, cohorts) != 0 ||
	    profile_ages_make(work, cohorts, &ages) != 0)
		return -1;
	a->options.ages = &ages;
	int result = write_profile(a, work, &cohorts->snapshot);
	a->options.ages = NULL;
	return result;
}

/* The profile of what is in use, or of growth since the baseline. */
static int build_live(struct answer *a, struct scratch *work)
{
	struct snapshot now, growth;
	const struct snapshot *before = a->baseline ? &a->baseline->snapshot : NULL;
	if (a->with_ages)
		return build_ages(a, work);
	if (stacks_snapshot(work, a->options.min_age_ns, &now) != 0)
		return -1;
	if (before == NULL)
		return write_profile(a, work, &now);
	a->options.duration_ns = now.time_ns - before->time_ns;
	a->options.go_before = a->baseline->go;
	if (stacks_difference(work, before, &now, &growth) != 0)
		return -1;
	return write_profile(a, work, &growth);
}

static int build_frees(struct answer *a, struct scratch *work)
{
	struct snapshot frees;
	return profile_frees_snapshot(work, &frees) ? -1 : write_profile(a, work, &frees);
}

/*
 * What view= can be. build writes the profile into the answer's body from scratch, as profile_write
 * does: 0, or -1 without room; or it refuses, and returns 0. A view without a build is not there:
 * it is refused as unknown.
 */
static const struct view {
	const char *name;
	int (*build)(struct answer *a, struct scratch *work);
} views[PROFILE_VIEWS] = {
	[PROFILE_LIVE] = {"live", build_live},
	[PROFILE_PEAK] = {"peak", view_peak_build},
	[PROFILE_FREES] = {"frees", build_frees},
	[PROFILE_PINNED] = {"pinned", answer_pinned_profile},
};

/* Only what is in use now has an age, and growth. */
static int read_view(struct answer *a, const struct http_request *r, enum profile_view *view)
{
	const char *names[PROFILE_VIEWS];
	size_t index = PROFILE_LIVE;
	for (size_t i = 0; i < PROFILE_VIEWS; i++)
		names[i] = views[i].build != NULL ? views[i].name : NULL;
	if (params_choice(a, r, "view", names, PROFILE_VIEWS, &index))
		return -1;
	*view = (enum profile_view)index;
	if (index == PROFILE_LIVE ||
	    (params_value(r, "seconds") == NULL && params_value(r, "older") == NULL))
		return 0;
	answer_refuse(a, 400, "view=%s cannot be combined with seconds or older", names[index]);
	return -1;
}

/* Each sample is of one age, so that none can be asked for, and growth has none. */
static int read_labels(struct answer *a, const struct http_request *r, enum profile_view view,
		       bool *with_ages)
{
	if (params_word(a, r, "labels", "age", with_ages))
		return -1;
	if (!*with_ages || (view == PROFILE_LIVE && params_value(r, "seconds") == NULL &&
			    params_value(r, "older") == NULL))
		return 0;
	answer_refuse(a, 400, "labels=age cannot be combined with seconds, older or another view");
	return -1;
}

/* Reads Go's heap profile if it is requested. -1: refused. */
static int read_go(struct answer *a, struct scratch *scratch, struct go_heap *heap)
{
	if (!a->with_go || bridge_read_heap(scratch, &heap->bytes, &heap->count) == 0)
		return 0;
	if (scratch->exhausted)
		answer_refuse_no_memory(a);
	else
		answer_refuse(a, 503,
			      "Go's heap profile did not arrive within 2 s, or is larger than 8 "
			      "MiB: /debug/pprof/cgoheap does not need it");
	return -1;
}

static void say_profile(struct answer *a)
{
	a->status = 200;
	if (a->options.format == PROFILE_TEXT) {
		a->type = ANSWER_TEXT_PLAIN;
	} else {
		a->type = "application/octet-stream";
		a->filename = a->with_go ? "allheap.pb.gz" : "cgoheap.pb.gz";
	}
}

static void finish_profile(struct answer *a)
{
	struct scratch work = SCRATCH_INIT(region_scratch_max_bytes());
	seccomp_look(); /* time has passed since the last check */
	bool ready = read_go(a, &work, &a->options.go) == 0;
	int result = ready ? views[a->options.view].build(a, &work) : -1;
	scratch_release(&work);
	baseline_release(a->baseline);
	a->baseline = NULL;
	if (result == 0 && a->status == 0)
		say_profile(a);
	else if (result != 0 && ready)
		answer_refuse_no_memory(a);
}

static int fill_baseline(struct answer *a, struct baseline *b)
{
	if (read_go(a, &b->scratch, &b->go))
		return -1;
	if (stacks_snapshot(&b->scratch, b->min_age_ns, &b->snapshot) == 0)
		return 0;
	answer_refuse_no_memory(a); /* also releases the baseline */
	return -1;
}

static void begin_growth(struct answer *a, uint64_t seconds)
{
	uint64_t min_age_ns = a->options.min_age_ns;
	if (baseline_is_full()) {
		answer_refuse(a, 503,
			      "%u requests are already waiting for seconds=: retry when one is "
			      "answered",
			      baseline_places());
		a->busy = true;
		return;
	}
	a->baseline = baseline_share(min_age_ns, a->with_go);
	if (a->baseline == NULL) {
		a->baseline = baseline_new(min_age_ns);
		if (fill_baseline(a, a->baseline))
			return;
	}
	a->finish = finish_profile;
	a->may_be_early = true;
	a->due_ns = clock_monotonic_ns() + seconds * UINT64_C(1000000000);
}

void answer_profile(struct answer *a, const struct http_request *r)
{
	uint64_t debug = 0, seconds = 0, older_ns = 0;
	bool no_symbols = false, all_frames = false, with_ages = false;
	enum profile_view view = PROFILE_LIVE;
	if (params_number(a, r, "debug", 0, 2, "0, 1 or 2 (as 1)", &debug) ||
	    params_number(a, r, "seconds", 1, MAX_SECONDS, "whole seconds from 1 to 3600",
			  &seconds) ||
	    params_duration(a, r, "older", &older_ns) ||
	    params_word(a, r, "symbols", "none", &no_symbols) ||
	    params_word(a, r, "frames", "all", &all_frames) || read_view(a, r, &view) ||
	    read_labels(a, r, view, &with_ages) || view_peak_params(a, r, view))
		return;
	a->with_ages = with_ages;
	a->options = (struct profile_options){
		.view = view,
		.format = debug > 0 ? PROFILE_TEXT : PROFILE_GZIP,
		.symbols = !no_symbols,
		.all_frames = all_frames,
		.is_growth = seconds > 0,
		.min_age_ns = older_ns,
	};
	if (seconds > 0)
		begin_growth(a, seconds);
	else
		finish_profile(a);
}

void answer_allheap(struct answer *a, const struct http_request *r)
{
	uint64_t seconds = 0;
	bool all_frames = false;
	if (params_number(a, r, "seconds", 1, MAX_SECONDS, "whole seconds from 1 to 3600",
			  &seconds) ||
	    params_word(a, r, "frames", "all", &all_frames))
		return;
	if (!bridge_is_attached()) {
		answer_refuse(a, 404,
			      "no Go heap profile: import the Go package cgo_bridge in the "
			      "service, or use /debug/pprof/cgoheap for C alone");
		return;
	}
	a->with_go = true;
	a->options = (struct profile_options){
		.symbols = true, .all_frames = all_frames, .is_growth = seconds > 0};
	if (seconds > 0)
		begin_growth(a, seconds);
	else
		finish_profile(a);
}
