/* See answers_memory.h. */
#include "answers_memory.h"

#include "account_json.h"
#include "allocator.h"
#include "bridge.h"
#include "metrics.h"
#include "profile_memory.h"
#include "status.h"

/* An account and what it was made from, in scratch of its own. */
struct taken {
	struct scratch scratch;
	struct account account;
	struct account_parts parts;
};

/* False: refused already. */
static bool take(struct answer *a, struct taken *t)
{
	t->scratch = SCRATCH_INIT(region_scratch_max_bytes());
	if (account_take(&t->scratch, &t->account, &t->parts) == 0)
		return true;
	bool exhausted = t->scratch.exhausted;
	scratch_release(&t->scratch);
	if (exhausted)
		routes_refuse_no_memory(a);
	else
		routes_refuse(a, 503,
			      "/proc/self cannot be read here: the account needs maps and "
			      "smaps");
	return false;
}

/* result as a writer's: 0 or -1. */
static void finish(struct answer *a, int result, const char *type)
{
	if (result != 0) {
		routes_refuse_no_memory(a);
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
	if (!take(a, &t))
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
	if (!take(a, &t))
		return;
	struct go_heap heap = {0};
	bool has_go = bridge_is_attached();
	if (has_go && !bridge_read_heap(&t.scratch, &heap.bytes, &heap.count))
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

void answer_metrics(struct answer *a, const struct http_request *r)
{
	struct taken t;
	(void)r;
	if (!take(a, &t))
		return;
	finish(a, metrics_write(&a->body.sink, &t.account), METRICS_CONTENT_TYPE);
	scratch_release(&t.scratch);
}

/* ---- trim --------------------------------------------------------------- */

static void write_trimmed(struct answer *a, struct taken *before, struct taken *after,
			  const char *what)
{
	struct json j;
	json_init(&j, &a->body.sink);
	json_open(&j, NULL);
	account_json_write(&j, "before", &before->scratch, &before->account, &before->parts);
	account_json_write(&j, "after", &after->scratch, &after->account, &after->parts);
	json_signed(&j, "released_bytes",
		    (int64_t)(before->account.rss_bytes - after->account.rss_bytes));
	json_string(&j, "what", what);
	json_close(&j);
	finish(a, json_finish(&j), "application/json");
}

/* NULL: refused. */
static const char *trim(struct answer *a)
{
	enum allocator_result result;
	account_kept_forget();
	const char *what = allocator_trim(&result);
	if (result == ALLOCATOR_SILENT)
		routes_refuse(a, 501, "%s has no call for that which cgoheap knows",
			      *status_allocator() ? status_allocator() : "the C allocator");
	else if (!what)
		routes_refuse(a, 503,
			      "the C allocator did not answer in 10 s: it is still at it, or a "
			      "thread holds one of its locks and does not run");
	return what;
}

void answer_trim(struct answer *a, const struct http_request *r)
{
	struct taken before, after;
	(void)r;
	if (!take(a, &before))
		return;
	const char *what = trim(a);
	if (what && take(a, &after)) {
		write_trimmed(a, &before, &after, what);
		scratch_release(&after.scratch);
	}
	scratch_release(&before.scratch);
}
