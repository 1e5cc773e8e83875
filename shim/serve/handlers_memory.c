/* See handlers_memory.h. */
#include "serve/handlers_memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "go/bridge.h"
#include "account/allocator.h"
#include "profile/profile_memory.h"
#include "profile/account_json.h"
#include "serve/metrics.h"
#include "serve/status.h"

/* An account and its parts, with their scratch. */
struct taken {
	struct scratch scratch;
	struct account account;
	struct account_parts parts;
};

/* -1: already refused. */
static int take(struct answer *a, struct taken *t)
{
	t->scratch = SCRATCH_INIT(region_scratch_max_bytes());
	if (account_take(&t->scratch, &t->account, &t->parts) == 0)
		return 0;
	bool exhausted = t->scratch.exhausted;
	scratch_release(&t->scratch);
	if (exhausted)
		answer_refuse_no_memory(a);
	else if (pagemap_page_bytes() != PAGE_BYTES)
		answer_refuse(a, 503,
			      "no account on this kernel: its pages have %zu KiB, and the account "
			      "counts pages of 4 KiB. Profiles are as elsewhere",
			      pagemap_page_bytes() / KIB);
	else
		answer_refuse(
			a, 503,
			"cannot read /proc/self/maps and smaps, which the account needs: mount "
			"/proc for the program");
	return -1;
}

/* result: a writer's, 0 or -1. */
static void finish(struct answer *a, int result, const char *type)
{
	if (result != 0) {
		answer_refuse_no_memory(a);
		return;
	}
	a->status = 200;
	a->type = type;
}

void answer_account(struct answer *a, const struct http_request *r)
{
	struct taken t;
	struct json j;
	(void)r;
	if (take(a, &t))
		return;
	json_init(&j, &a->body.sink);
	account_json_write(&j, NULL, &t.scratch, &t.account, &t.parts);
	finish(a, json_finish(&j), "application/json");
	scratch_release(&t.scratch);
}

void answer_memory_profile(struct answer *a, const struct http_request *r)
{
	struct taken t;
	(void)r;
	if (take(a, &t))
		return;
	struct go_heap heap = {0};
	bool has_go = bridge_is_attached();
	if (has_go && bridge_read_heap(&t.scratch, &heap.bytes, &heap.count))
		heap.bytes = NULL;
	const char *const *comments = status_comments(&t.scratch);
	int result = comments ? profile_memory_write(&t.scratch, &t.account, &t.parts,
						     has_go ? &heap : NULL, comments, &a->body.sink)
			      : -1;
	finish(a, result, "application/octet-stream");
	if (result == 0)
		a->filename = "memory.pb.gz";
	scratch_release(&t.scratch);
}

/* ---- what pins retained memory ------------------------------------------ */

#define PINNED_COMMENTS      3
#define PINNED_COMMENT_BYTES 160

/* What is pinned, how much of it has stacks, and how sure that is. Returns the number of lines. */
static size_t describe_pinned(const struct taken *t, char lines[][PINNED_COMMENT_BYTES])
{
	const struct pinned *p = t->parts.pinned;
	size_t n = 0;
	if (!p) {
		snprintf(lines[n++], PINNED_COMMENT_BYTES,
			 "pinned: less than 8 MiB, too little to look for who pins it");
		return n;
	}
	snprintf(lines[n++], PINNED_COMMENT_BYTES,
		 "pinned: %" PRIu64 " bytes, %.0f of them by blocks with known stacks (standard "
		 "error %.0f)",
		 t->account.kept.pinned, p->sum.bytes, sqrt(p->sum.variance));
	if (p->method == PINNED_BY_SIZES)
		snprintf(lines[n++], PINNED_COMMENT_BYTES,
			 "by sizes: a walk of %" PRIu64 " chunks counted what blocks of each size "
			 "pin; samples say whose blocks of that size do",
			 p->walked_chunks);
	else
		snprintf(lines[n++], PINNED_COMMENT_BYTES,
			 "by samples: what each sampled block pins, times what it stands for");
	if (p->is_partial)
		snprintf(lines[n++], PINNED_COMMENT_BYTES,
			 "incomplete: there was no time to walk all of the heap");
	return n;
}

static const char *const *pinned_comments(struct scratch *work, const struct taken *t)
{
	char lines[PINNED_COMMENTS][PINNED_COMMENT_BYTES];
	const char *const *given = status_comments(work);
	size_t count = 0, own = describe_pinned(t, lines);
	while (given && given[count])
		count++;
	const char **all = scratch_alloc(work, (count + own + 1) * sizeof(*all));
	if (!given || !all)
		return NULL;
	memcpy(all, given, count * sizeof(*all));
	for (size_t i = 0; i < own; i++)
		all[count + i] = scratch_strdup(work, lines[i], strlen(lines[i]));
	return all;
}

/* Their values as profile_proto.c names them. */
static int snapshot_pinned(struct scratch *work, const struct pinned *p, struct snapshot *out)
{
	size_t count = p ? p->count : 0;
	*out = (struct snapshot){.time_ns = clock_monotonic_ns()};
	out->tallies = scratch_alloc(work, (count + 1) * sizeof(*out->tallies));
	for (size_t i = 0; out->tallies && i < count; i++) {
		const struct pinned_site *s = &p->sites[i];
		int64_t blocks = (int64_t)(s->blocks + 0.5);
		if (s->site)
			out->tallies[out->count++] =
				(struct tally){.site = s->site,
					       .stack = s->stack,
					       .born = s->born,
					       .alloc_objects = blocks,
					       .alloc_bytes = (int64_t)s->block_bytes,
					       .inuse_objects = blocks,
					       .inuse_bytes = (int64_t)s->bytes};
	}
	return out->tallies ? 0 : -1;
}

static void refuse_pinned(struct answer *a, const struct taken *t)
{
	const char *name = t->account.allocator.name;
	if (allocator_is_glibc() || allocator_bins())
		answer_refuse(a, 503,
			      "what pins retained memory is not known now: there are too many "
			      "blocks or free chunks, or their lists were changing; retry");
	else
		answer_refuse(
			a, 501,
			"what pins retained memory is known of glibc's malloc and of jemalloc, and "
			"this is %s",
			*name ? name : "another one");
}

/* Too little to look for who pins it, or not even that is kept. */
static bool is_little(const struct account *a)
{
	return allocator_is_glibc() && (a->kept.pinned < KEPT_WORTH_BYTES ||
					(a->owners[OWNER_C_RETAINED].known &&
					 a->owners[OWNER_C_RETAINED].resident < KEPT_WORTH_BYTES));
}

int answer_pinned_profile(struct answer *a, struct scratch *work)
{
	struct snapshot snapshot;
	struct taken t;
	int result = -1;
	if (take(a, &t))
		return 0;
	bool is_known = t.parts.pinned || is_little(&t.account);
	if (!is_known) {
		refuse_pinned(a, &t);
		result = 0;
	} else if (snapshot_pinned(work, t.parts.pinned, &snapshot) == 0 &&
		   (a->options.comments = pinned_comments(work, &t)) != NULL) {
		a->options.most_text_bytes = region_scratch_max_bytes() / 2;
		result = profile_write(work, &snapshot, &a->options, &a->body.sink);
	}
	scratch_release(&t.scratch);
	return result;
}

void answer_metrics(struct answer *a, const struct http_request *r)
{
	struct taken t;
	if (take(a, &t))
		return;
	enum metrics_format format = metrics_format_of(r->accept);
	finish(a, metrics_write(&a->body.sink, format, &t.account), metrics_content_type(format));
	scratch_release(&t.scratch);
}

/* ---- trim --------------------------------------------------------------- */

#define TRIM_NS        (UINT64_C(10) * 1000000000)
#define FIRST_PAUSE_NS UINT64_C(1000000)
#define LAST_PAUSE_NS  UINT64_C(64000000)

/* Writes into the body and keeps its place in the object: the rest is written once it is known. */
static int write_before(struct answer *a, struct taken *t)
{
	struct json j;
	json_init(&j, &a->body.sink);
	json_open(&j, NULL);
	account_json_write(&j, "before", &t->scratch, &t->account, &t->parts);
	return json_pause(&j);
}

static void write_after(struct answer *a, struct taken *t, const char *what)
{
	struct json j;
	json_go_on(&j, &a->body.sink);
	account_json_write(&j, "after", &t->scratch, &t->account, &t->parts);
	json_signed(&j, "released_bytes", (int64_t)(a->trim.rss_bytes - t->account.rss_bytes));
	json_string(&j, "what", what);
	json_close(&j);
	finish(a, json_finish(&j), "application/json");
}

static void look_later(struct answer *a, uint64_t now_ns)
{
	a->due_ns = now_ns + a->trim.pause_ns;
	if (a->trim.pause_ns < LAST_PAUSE_NS)
		a->trim.pause_ns *= 2;
}

static void look_whether_trimmed(struct answer *a)
{
	struct taken after;
	const char *what;
	uint64_t now_ns = clock_monotonic_ns();
	enum allocator_result result = allocator_trimmed(&what);
	if (result == ALLOCATOR_SILENT && allocator_is_musl())
		answer_refuse(
			a, 501,
			"musl's malloc has no trim: it returns a group of blocks when the "
			"last of them is freed; to keep less free memory, run the service with "
			"jemalloc or mimalloc preloaded");
	else if (result == ALLOCATOR_SILENT)
		answer_refuse(a, 501, "cgoheap knows no trim function of %s",
			      *allocator_name() ? allocator_name() : "the C allocator");
	else if (result == ALLOCATOR_UNANSWERED && now_ns >= a->trim.ends_ns)
		answer_refuse(a, 503,
			      "the C allocator did not answer in 10 s: trim is still running, or a "
			      "stopped thread holds an allocator lock");
	else if (result == ALLOCATOR_UNANSWERED)
		look_later(a, now_ns);
	else {
		account_kept_forget();
		if (take(a, &after) == 0) {
			write_after(a, &after, what);
			scratch_release(&after.scratch);
		}
	}
}

/* The worker trims while the answer waits, as one with seconds= does. */
static void begin_trim(struct answer *a)
{
	if (allocator_trim() != 0) {
		answer_refuse_busy(a, "the C allocator is still busy with an earlier call: retry "
				      "later; if that never helps, a stopped thread holds an "
				      "allocator lock");
		return;
	}
	a->finish = look_whether_trimmed;
	a->trim.pause_ns = FIRST_PAUSE_NS;
	a->trim.ends_ns = clock_monotonic_ns() + TRIM_NS;
	look_whether_trimmed(a);
}

void answer_trim(struct answer *a, const struct http_request *r)
{
	struct taken before;
	(void)r;
	if (take(a, &before))
		return;
	a->trim.rss_bytes = before.account.rss_bytes;
	int result = write_before(a, &before);
	scratch_release(&before.scratch);
	if (result == 0)
		begin_trim(a);
	else
		answer_refuse_no_memory(a);
}
