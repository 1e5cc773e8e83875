/* See account_json.h. */
#include "profile/account_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "go/gosym.h"
#include "record/control.h"
#include "account/account_top.h"
#include "account/cgowatch.h"
#include "profile/profile_job.h"

#define OTHERS     6 /* owners beside c_mmap whose largest mappings are shown */
#define OTHERS_TOP 5

/* The largest mappings of some owners, and what pins most, whose stacks are given names together.
 */
struct tops {
	struct account_top list[ACCOUNT_TOP + OTHERS * OTHERS_TOP];
	struct tally tallies[ACCOUNT_TOP + OTHERS * OTHERS_TOP + PINNED_TOP];
	uint8_t owners[ACCOUNT_TOP + OTHERS * OTHERS_TOP];
	size_t count;
	struct pinned_site pinned[PINNED_TOP];
	size_t pinned_count;
	struct snapshot snapshot;
	struct profile_options options;
	struct profile_job job;
};

struct writer {
	struct json *json;
	struct scratch *scratch;
	const struct account *account;
	const struct account_parts *parts;
	struct tops *tops;
	enum account_owner owner; /* that is written */
};

/* What account_figures.h says of a member. */
#define WRITE(kind, ...) WRITE_##kind(__VA_ARGS__)
#define WRITE_FIGURE(value, unit, key, name, metric, help)                                         \
	json_known(w->json, key, (value) != UNKNOWN, value);
#define WRITE_NUMBER(value, unit, key, name, metric, help) json_number(w->json, key, value);
#define WRITE_TEXT(value, key, name, help)                 json_string(w->json, key, value);
#define WRITE_FLAG(value, key, name, help)                 json_bool(w->json, key, value);
#define WRITE_METRIC(value, unit, metric, help)
#define WRITE_PART(member, name, type, whose, help) write_##member(w, #member);

static void write_name(struct writer *w, const char *key)
{
	json_string(w->json, key, account_owner_name(w->owner));
}

/* An owner that is not known has no figures. */
static void write_owner(struct writer *w)
{
	struct account_bytes owned = w->account->owners[w->owner], *s = &owned;
	if (!owned.known)
		owned.resident = owned.huge = owned.lazy_free = owned.swapped = owned.mapped =
			UNKNOWN;
	json_open(w->json, NULL);
	ACCOUNT_OWNER(WRITE)
	json_close(w->json);
}

static void write_owners(struct writer *w, const char *key)
{
	json_open_array(w->json, key);
	for (w->owner = 0; w->owner < OWNER_COUNT; w->owner++)
		write_owner(w);
	json_close_array(w->json);
}

/* unix_ns UNKNOWN or 0: none. */
static void write_nanoseconds(struct writer *w, const char *key, uint64_t unix_ns)
{
	char time[JSON_TIME_BYTES] = "";
	if (unix_ns != UNKNOWN && unix_ns != 0)
		json_format_time(unix_ns, time);
	json_string(w->json, key, time);
}

static void write_time(struct writer *w, const char *key)
{
	write_nanoseconds(w, key, w->account->time_ns);
}

static void write_allocator(struct writer *w, const char *key)
{
	const struct allocator_stats *s = &w->account->allocator;
	json_open(w->json, key);
	ACCOUNT_ALLOCATOR(WRITE)
	json_close(w->json);
}

static void write_private_allocators(struct writer *w, const char *key)
{
	json_open_array(w->json, key);
	for (size_t i = 0; i < w->account->private_count; i++) {
		const struct privatealloc *s = &w->account->private_allocators[i];
		json_open(w->json, NULL);
		ACCOUNT_PRIVATE(WRITE)
		json_close(w->json);
	}
	json_close_array(w->json);
}

static void write_c_in_use_at(struct writer *w, const char *key)
{
	write_nanoseconds(w, key, w->account->c_peak.at_ns);
}

static void write_rss_at(struct writer *w, const char *key)
{
	write_nanoseconds(w, key, w->account->rss_peak.at_ns);
}

static void write_peak(struct writer *w, const char *key)
{
	const struct account *s = w->account;
	json_open(w->json, key);
	ACCOUNT_PEAK(WRITE)
	json_close(w->json);
}

static void write_c_live_estimate(struct writer *w, const char *key)
{
	const struct account *s = w->account;
	json_open(w->json, key);
	ACCOUNT_ESTIMATE(WRITE)
	json_close(w->json);
}

static void write_c_blocks_resident_ratio(struct writer *w, const char *key)
{
	uint64_t permille = w->account->c_blocks_touched_permille;
	json_permille(w->json, key, permille != UNKNOWN, permille);
}

static void write_last_gc(struct writer *w, const char *key)
{
	write_nanoseconds(w, key, w->account->go.gc.ended_unix_ns);
}

static void write_last_gc_time(struct writer *w, const char *key)
{
	write_last_gc(w, key);
}

static void write_gc_percent(struct writer *w, const char *key)
{
	uint64_t percent = w->account->go.gc.percent;
	if (percent == GOGC_OFF)
		json_signed(w->json, key, -1);
	else
		json_known(w->json, key, percent != UNKNOWN, percent);
}

static void write_finalizer_running(struct writer *w, const char *key)
{
	uint64_t is_running = w->account->go.gc.is_finalizing;
	if (is_running == UNKNOWN)
		json_known(w->json, key, false, 0);
	else
		json_bool(w->json, key, is_running);
}

static void write_runtime_metrics(struct writer *w, const char *key)
{
	const uint64_t *n = w->account->go.runtime;
	json_open(w->json, key);
#define METRIC(place, name)                                                                        \
	json_known(w->json, name, n[CGOHEAP_GO_##place] != UNKNOWN, n[CGOHEAP_GO_##place]);
	CGOHEAP_GO_METRICS(METRIC)
#undef METRIC
	json_close(w->json);
}

static void write_go(struct writer *w, const char *key)
{
	const struct go_stats *s = &w->account->go;
	json_open(w->json, key);
	ACCOUNT_GO(WRITE)
	json_close(w->json);
}

static void write_process(struct writer *w, const char *key)
{
	const struct process_stats *s = &w->account->process;
	json_open(w->json, key);
	ACCOUNT_PROCESS(WRITE)
	json_close(w->json);
}

static void write_version(struct writer *w, const char *key)
{
	int version = w->account->cgroup.version;
	json_known(w->json, key, version != 0, (uint64_t)version);
}

static void write_cgroup(struct writer *w, const char *key)
{
	const struct cgroup_stats *s = &w->account->cgroup;
	json_open(w->json, key);
	ACCOUNT_CGROUP(WRITE)
	json_close(w->json);
}

/* ---- the largest mappings, by their stacks -------------------------------- */

/* An allocator of a library's own is a dozen frames deep before its caller shows. */
#define TOP_FRAMES PROFILE_MAX_FRAMES

/* Code without symbols is named by its file and the place in it: "libfoo.so+0x1234". */
static void write_place(struct json *j, const struct profile_job *job, uint64_t pc)
{
	char text[256];
	const struct module *m = modules_find(&job->modules, pc);
	const char *slash = m ? strrchr(m->path, '/') : NULL;
	if (m)
		snprintf(text, sizeof(text), "%s+0x%lx", slash ? slash + 1 : m->path,
			 pc - m->start + m->file_offset);
	json_string(j, NULL, m ? text : "(unknown)");
}

static void write_frame(struct json *j, const struct profile_job *job,
			const struct profile_frame *f)
{
	char text[SYNTHETIC_NAME_BYTES];
	if (f->synthetic) {
		synthetic_name(f->synthetic, text);
		json_string(j, NULL, text);
	} else if (f->location && f->location->line_count) {
		json_string(j, NULL, f->location->lines[0].function);
	} else {
		write_place(j, job, f->pc - 1);
	}
}

static void write_frames(struct json *j, const struct profile_job *job, uint32_t site)
{
	struct profile_frame frames[PROFILE_MAX_FRAMES];
	size_t count = site ? profile_frames(job, stack_at(site_at(site)->stack), frames) : 0;
	json_open_array(j, "frames");
	for (size_t i = 0; i < count && i < TOP_FRAMES; i++)
		write_frame(j, job, &frames[i]);
	json_close_array(j);
}

static void tops_add(struct tops *tops, struct scratch *scratch, const struct account_parts *parts,
		     enum account_owner owner, size_t most)
{
	struct account_top found[ACCOUNT_TOP];
	size_t count = account_top_read(scratch, parts, owner, found);
	for (size_t i = 0; i < count && i < most; i++) {
		if (owner != OWNER_C_MMAP && found[i].resident == 0)
			return;
		tops->owners[tops->count] = (uint8_t)owner;
		tops->list[tops->count++] = found[i];
	}
}

static void tops_add_pinned(struct tops *tops, const struct account_parts *parts)
{
	if (parts->pinned)
		tops->pinned_count = pinned_top(parts->pinned, tops->pinned);
	for (size_t i = 0; i < tops->pinned_count; i++)
		tops->tallies[tops->snapshot.count++] =
			(struct tally){.site = tops->pinned[i].site, .inuse_objects = 1};
}

/* What of it scratch has no room for is missing. */
static void tops_read(struct tops *tops, struct scratch *scratch, const struct account_parts *parts)
{
	static const enum account_owner others[OTHERS] = {OWNER_C_BRK,         OWNER_FILE_COPIES,
							  OWNER_DEVICE_MAPS,   OWNER_MAPPED_FILES,
							  OWNER_SHARED_MEMORY, OWNER_THREAD_STACKS};
	*tops = (struct tops){.options = {.symbols = true}};
	tops->snapshot.tallies = tops->tallies;
	tops_add(tops, scratch, parts, OWNER_C_MMAP, ACCOUNT_TOP);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		tops_add(tops, scratch, parts, others[i], OTHERS_TOP);
	for (size_t i = 0; i < tops->count; i++)
		if (tops->list[i].site)
			tops->tallies[tops->snapshot.count++] =
				(struct tally){.site = tops->list[i].site, .inuse_objects = 1};
	tops_add_pinned(tops, parts);
	profile_job_prepare(&tops->job, scratch, &tops->snapshot, &tops->options);
}

static void write_tops(struct writer *w, const char *key, bool mmap)
{
	struct json *j = w->json;
	json_open_array(j, key);
	for (size_t i = 0; i < w->tops->count; i++) {
		const struct account_top *top = &w->tops->list[i];
		enum account_owner owner = w->tops->owners[i];
		if ((owner == OWNER_C_MMAP) != mmap)
			continue;
		json_open(j, NULL);
		if (!mmap) {
			json_string(j, "owner", account_owner_name(owner));
			json_string(j, "file", top->file ? w->parts->files[top->file] : NULL);
		}
		json_number(j, "bytes", top->resident);
		json_number(j, "mapped_bytes", top->mapped);
		write_frames(j, &w->tops->job, top->site);
		json_close(j);
	}
	json_close_array(j);
}

static void write_c_mmap_top(struct writer *w, const char *key)
{
	write_tops(w, key, true);
}

static void write_mapped_top(struct writer *w, const char *key)
{
	write_tops(w, key, false);
}

/* ---- what is kept, and who pins it --------------------------------------- */

static void write_pinned_figures(struct json *j, const struct pinned_site *s)
{
	json_number(j, "bytes", (uint64_t)s->bytes);
	json_number(j, "standard_error_bytes", (uint64_t)sqrt(s->variance));
	json_number(j, "blocks", (uint64_t)(s->blocks + 0.5));
	json_number(j, "block_bytes", (uint64_t)s->block_bytes);
}

static void write_pinned_by(struct writer *w, const char *key)
{
	const struct pinned *p = w->parts->pinned;
	struct json *j = w->json;
	if (!p) {
		json_known(j, key, false, 0);
		return;
	}
	json_open(j, key);
	json_string(j, "method", pinned_method_names[p->method]);
	write_pinned_figures(j, &p->sum);
	json_bool(j, "partial", p->is_partial);
	json_open_array(j, "stacks");
	for (size_t i = 0; i < w->tops->pinned_count; i++) {
		json_open(j, NULL);
		write_pinned_figures(j, &w->tops->pinned[i]);
		write_frames(j, &w->tops->job, w->tops->pinned[i].site);
		json_close(j);
	}
	json_close_array(j);
	json_close(j);
}

static void write_c_retained_kept(struct writer *w, const char *key)
{
	const struct kept_bytes *s = &w->account->kept;
	json_open(w->json, key);
	ACCOUNT_KEPT(WRITE)
	json_close(w->json);
}

/* ---- candidates for untracked mappings ----------------------------------- */

#define CANDIDATES_SHOWN 5

static void write_call(struct json *j, const struct cgowatch_candidate *c)
{
	struct gosym_frame frames[GOSYM_MAX_INLINE];
	json_open(j, NULL);
	json_number(j, "looks", c->looks);
	json_number(j, "faults", c->faults);
	json_open_array(j, "frames");
	for (uint32_t i = 0; i < c->call.count; i++) {
		size_t n = gosym_frames(c->call.frames[i] - 1, frames, COUNT_OF(frames));
		for (size_t k = 0; k < n; k++)
			if (!frames[k].is_wrapper)
				json_string(j, NULL, frames[k].function);
	}
	json_close_array(j);
	json_close(j);
}

static void write_untracked_candidates(struct writer *w, const char *key)
{
	struct cgowatch_candidate list[CGOWATCH_CANDIDATES];
	uint32_t looks;
	size_t count = cgowatch_read(list, &looks);
	json_open(w->json, key);
	json_number(w->json, "looks", looks);
	json_open_array(w->json, "in_cgo_calls");
	for (size_t i = 0; i < count && i < CANDIDATES_SHOWN; i++)
		write_call(w->json, &list[i]);
	json_close_array(w->json);
	json_close(w->json);
}

/* ---- the whole ---------------------------------------------------------- */

static void write_warnings(struct writer *w, const char *key)
{
	json_open_array(w->json, key);
	for (size_t i = 0; i < ACCOUNT_WARNINGS && w->account->warnings[i]; i++)
		json_string(w->json, NULL, w->account->warnings[i]);
	json_close_array(w->json);
}

void account_json_write(struct json *j, const char *key, struct scratch *scratch,
			const struct account *s, const struct account_parts *parts)
{
	struct tops tops;
	struct writer writer = {j, scratch, s, parts, &tops, 0}, *w = &writer;
	/* Now, because it takes the scratch that is left: the answer already has its own. */
	tops_read(&tops, scratch, parts);
	json_open(j, key);
	ACCOUNT_WHOLE(WRITE)
	profile_job_end(&tops.job);
	json_close(j);
}
