/*
 * One table of pages; under it one small function each.  Parameters are taken
 * strictly: a misspelt one that is silently ignored would answer a question
 * that nobody asked.
 */
#include "serve/handlers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/seccomp.h"
#include "config/config.h"
#include "config/log.h"
#include "go/bridge.h"
#include "record/control.h"
#include "serve/handlers_memory.h"
#include "serve/status.h"

static const char text_plain[] = "text/plain; charset=utf-8";

/* ---- an answer ---------------------------------------------------------- */

void handlers_init(struct answer *a)
{
	*a = (struct answer){0};
	body_init(&a->body);
}

void handlers_release(struct answer *a)
{
	body_release(&a->body);
	baseline_release(a->baseline);
	handlers_init(a);
}

/* count as snprintf returned it for a->line */
static void answer_line(struct answer *a, int status, const char *type, int count)
{
	a->status = status;
	a->type = type;
	a->text = a->line;
	a->text_bytes = count < (int)sizeof(a->line) ? (size_t)count : sizeof(a->line) - 1;
}

void handlers_refuse(struct answer *a, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(a->line, sizeof(a->line) - 1, format, args);
	va_end(args);
	if (n > (int)sizeof(a->line) - 2)
		n = (int)sizeof(a->line) - 2;
	a->line[n++] = '\n';
	a->filename = NULL;
	body_release(&a->body); /* what there was of an answer */
	answer_line(a, status, text_plain, n);
}

void handlers_refuse_busy(struct answer *a, const char *line)
{
	handlers_refuse(a, 503, "%s", line);
	a->busy = true;
}

void handlers_refuse_no_memory(struct answer *a)
{
	bool head_only = a->head_only;
	handlers_release(a);
	a->head_only = head_only;
	handlers_refuse_busy(
		a, "out of cgoheap's own memory: raise CGOHEAP_MAX_MEMORY, or ask again when "
		   "fewer requests are under way");
}

/* ---- parameters --------------------------------------------------------- */

static const char *param_value(const struct http_request *r, const char *name)
{
	for (uint32_t i = 0; i < r->param_count; i++)
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	return NULL;
}

/* `name="value" is not understood: give ...`; returns false for the caller to return. */
static bool refuse_value(struct answer *a, const char *name, const char *value, const char *give)
{
	char quoted[LOG_QUOTE_BYTES];
	handlers_refuse(a, 400, "%s=%s is not understood: give %s", name, log_quote(quoted, value),
			give);
	return false;
}

/* Whole decimal number within bounds; false where it is not. */
static bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *number)
{
	uint64_t n = 0;
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 18 || text[digits] != '\0')
		return false;
	for (; *text != '\0'; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	*number = n;
	return n >= low && n <= high;
}

static bool take_number(struct answer *a, const struct http_request *r, const char *name,
			uint64_t low, uint64_t high, const char *give, uint64_t *number)
{
	const char *value = param_value(r, name);
	return value == NULL || parse_number(value, low, high, number) ||
	       refuse_value(a, name, value, give);
}

static bool take_duration(struct answer *a, const struct http_request *r, const char *name,
			  uint64_t *ns)
{
	const char *value = param_value(r, name);
	return value == NULL || (config_parse_duration(value, ns) && *ns > 0) ||
	       refuse_value(a, name, value, "a time above 0, e.g. 90s, 10m or 1h30m");
}

static bool take_bytes(struct answer *a, const struct http_request *r, const char *name,
		       uint64_t *bytes)
{
	const char *value = param_value(r, name);
	return value == NULL ||
	       (config_parse_bytes(value, bytes) && *bytes >= 1 &&
		*bytes <= CONFIG_MAX_SAMPLE_BYTES) ||
	       refuse_value(a, name, value, "bytes from 1 to 1073741824, e.g. 524288 or 512KiB");
}

/* A parameter that has one word it can be. */
static bool take_word(struct answer *a, const struct http_request *r, const char *name,
		      const char *word, bool *given)
{
	const char *value = param_value(r, name);
	if (value == NULL)
		return true;
	*given = strcmp(value, word) == 0;
	return *given || refuse_value(a, name, value, word);
}

/* ---- the index ---------------------------------------------------------- */

static void answer_index(struct answer *a, const struct http_request *r)
{
	static const char page[] =
		"<!DOCTYPE html>\n"
		"<html><head><title>cgoheap</title></head><body>\n"
		"<h1>cgoheap " CGOHEAP_VERSION "</h1>\n"
		"<p>C memory of this process, by the stack that asked for it.</p>\n"
		"<ul>\n"
		"<li><a href=\"/debug/pprof/cgoheap?debug=1\">/debug/pprof/cgoheap?debug=1</a> the "
		"profile as text</li>\n"
		"<li><a href=\"/debug/pprof/cgoheap\">/debug/pprof/cgoheap</a> the profile for go "
		"tool pprof</li>\n"
		"<li><a href=\"/debug/pprof/cgoheap?seconds=30\">/debug/pprof/cgoheap?seconds=30"
		"</a> what is added and freed in 30 seconds</li>\n"
		"<li><a href=\"/debug/pprof/cgoheap?older=10m\">/debug/pprof/cgoheap?older=10m</a> "
		"only blocks at least that old</li>\n"
		"<li>also: symbols=none (addresses and build IDs only), frames=all (keeps the "
		"frames of cgo itself)</li>\n"
		"<li><a href=\"/debug/pprof/allheap\">/debug/pprof/allheap</a> Go's heap and C's "
		"in "
		"one profile, where the service imports cgo_bridge; seconds=, frames=all</li>\n"
		"<li><a href=\"/debug/pprof/memory\">/debug/pprof/memory</a> the whole RSS as one "
		"profile</li>\n"
		"<li><a href=\"/v1/account\">/v1/account</a> what the RSS is made of, as "
		"JSON</li>\n"
		"<li><a href=\"/metrics\">/metrics</a> the same for Prometheus</li>\n"
		"<li><a href=\"/v1/status\">/v1/status</a> state, samples, what was dropped, as "
		"JSON</li>\n"
		"<li>POST /v1/sampling?state=on|off&amp;for=10m&amp;sample_bytes=524288</li>\n"
		"<li>POST /v1/trim gives the C allocator's free pages back</li>\n"
		"</ul>\n"
		"</body></html>\n";
	(void)r;
	a->status = 200;
	a->type = "text/html; charset=utf-8";
	a->text = page;
	a->text_bytes = sizeof(page) - 1;
}

/* ---- the profile -------------------------------------------------------- */

/* Into the body; -1: out of scratch. */
static int write_profile(struct answer *a, struct scratch *work, const struct snapshot *snapshot)
{
	a->options.comments = status_comments(work);
	if (a->options.comments == NULL)
		return -1;
	a->options.most_text_bytes = region_scratch_max_bytes() / 2; /* the rest is for the work */
	return profile_write(work, snapshot, &a->options, &a->body.sink);
}

static int build_profile(struct answer *a, struct scratch *work)
{
	struct snapshot now, growth;
	const struct snapshot *before = a->baseline ? &a->baseline->snapshot : NULL;
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

/* Go's heap profile, where one is asked for.  False: refused. */
static bool read_go(struct answer *a, struct scratch *scratch, struct go_heap *heap)
{
	if (!a->with_go || bridge_read_heap(scratch, &heap->bytes, &heap->count))
		return true;
	if (scratch->exhausted)
		handlers_refuse_no_memory(a);
	else
		handlers_refuse(
			a, 503,
			"Go's heap profile did not come within 2 s, or is larger than 8 MiB: "
			"/debug/pprof/cgoheap does not wait for Go");
	return false;
}

static void say_profile(struct answer *a)
{
	a->status = 200;
	if (a->options.format == PROFILE_TEXT) {
		a->type = text_plain;
	} else {
		a->type = "application/octet-stream";
		a->filename = a->with_go ? "allheap.pb.gz" : "cgoheap.pb.gz";
	}
}

static void finish_profile(struct answer *a)
{
	struct scratch work = SCRATCH_INIT(region_scratch_max_bytes());
	seccomp_look(); /* some time has passed */
	bool ready = read_go(a, &work, &a->options.go);
	int result = ready ? build_profile(a, &work) : -1;
	scratch_release(&work);
	baseline_release(a->baseline);
	a->baseline = NULL;
	if (result == 0)
		say_profile(a);
	else if (ready)
		handlers_refuse_no_memory(a);
}

static bool fill_baseline(struct answer *a, struct baseline *b)
{
	if (!read_go(a, &b->scratch, &b->go))
		return false;
	if (stacks_snapshot(&b->scratch, b->min_age_ns, &b->snapshot) == 0)
		return true;
	handlers_refuse_no_memory(a); /* which gives the baseline back */
	return false;
}

static void begin_growth(struct answer *a, uint64_t seconds)
{
	uint64_t min_age_ns = a->options.min_age_ns;
	if (baseline_is_full()) {
		handlers_refuse(
			a, 503,
			"%u requests wait for their seconds= already: ask again when one has "
			"been answered",
			baseline_places());
		a->busy = true;
		return;
	}
	a->baseline = baseline_share(min_age_ns, a->with_go);
	if (a->baseline == NULL) {
		a->baseline = baseline_new(min_age_ns);
		if (!fill_baseline(a, a->baseline))
			return;
	}
	a->finish = finish_profile;
	a->may_be_early = true;
	a->due_ns = clock_monotonic_ns() + seconds * UINT64_C(1000000000);
}

static void answer_profile(struct answer *a, const struct http_request *r)
{
	uint64_t debug = 0, seconds = 0, older_ns = 0;
	bool no_symbols = false, all_frames = false;
	if (!take_number(a, r, "debug", 0, 2, "0, 1 or 2 (as 1)", &debug) ||
	    !take_number(a, r, "seconds", 1, HANDLERS_MAX_SECONDS, "whole seconds from 1 to 3600",
			 &seconds) ||
	    !take_duration(a, r, "older", &older_ns) ||
	    !take_word(a, r, "symbols", "none", &no_symbols) ||
	    !take_word(a, r, "frames", "all", &all_frames))
		return;
	a->options = (struct profile_options){
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

static void answer_allheap(struct answer *a, const struct http_request *r)
{
	uint64_t seconds = 0;
	bool all_frames = false;
	if (!take_number(a, r, "seconds", 1, HANDLERS_MAX_SECONDS, "whole seconds from 1 to 3600",
			 &seconds) ||
	    !take_word(a, r, "frames", "all", &all_frames))
		return;
	if (!bridge_is_attached()) {
		handlers_refuse(a, 404,
				"Go's heap is not known here: import the Go package cgo_bridge in "
				"the service; C's alone is /debug/pprof/cgoheap");
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

/* ---- status and sampling ------------------------------------------------ */

static void answer_status(struct answer *a, const struct http_request *r)
{
	(void)r;
	if (status_write_json(&a->body.sink) != 0) {
		handlers_refuse_no_memory(a);
		return;
	}
	a->status = 200;
	a->type = "application/json";
}

/*
 * pprof asks here for the names of addresses that have none, and gives up the
 * whole profile on anything but 200.  What this process knows is in the profile
 * unless symbols=none; so: no names here.
 */
static void answer_symbol(struct answer *a, const struct http_request *r)
{
	(void)r;
	answer_line(a, 200, text_plain, snprintf(a->line, sizeof(a->line), "num_symbols: 0\n"));
}

static void answer_sampling_state(struct answer *a)
{
	struct control_state s = control_get();
	char remaining[24] = "null";
	if (s.remaining_ns != 0)
		snprintf(remaining, sizeof(remaining), "%llu", (unsigned long long)s.remaining_ns);
	answer_line(a, 200, "application/json",
		    snprintf(a->line, sizeof(a->line),
			     "{\"state\":\"%s\",\"sample_bytes\":%u,"
			     "\"sampling_remaining_ns\":%s}\n",
			     s.on ? "sampling" : "dormant", s.sample_bytes, remaining));
}

static void answer_sampling(struct answer *a, const struct http_request *r)
{
	uint64_t for_ns = 0, sample_bytes = 0;
	const char *state = param_value(r, "state");
	bool on = state != NULL && strcmp(state, "on") == 0;
	if (state == NULL) {
		handlers_refuse(a, 400, "state is not given: give state=on or state=off");
		return;
	}
	if (!on && strcmp(state, "off") != 0) {
		refuse_value(a, "state", state, "on or off");
		return;
	}
	if (!take_duration(a, r, "for", &for_ns) ||
	    !take_bytes(a, r, "sample_bytes", &sample_bytes))
		return;
	if (!on && r->param_count > 1) {
		handlers_refuse(a, 400, "state=off goes alone: leave for and sample_bytes out");
		return;
	}
	control_sampling(on, (uint32_t)sample_bytes, for_ns);
	answer_sampling_state(a);
}

/* ---- the table ---------------------------------------------------------- */

static const struct route {
	const char *path;
	bool is_post; /* else GET and HEAD */
	void (*answer)(struct answer *a, const struct http_request *r);
	const char *params[6]; /* NULL-terminated */
} routes[] = {
	{"/", false, answer_index, {NULL}},
	{"/debug/pprof", false, answer_index, {NULL}},
	{"/debug/pprof/", false, answer_index, {NULL}},
	{"/debug/pprof/cgoheap",
	 false,
	 answer_profile,
	 {"debug", "seconds", "older", "symbols", "frames", NULL}},
	{"/debug/pprof/allheap", false, answer_allheap, {"seconds", "frames", NULL}},
	{"/debug/pprof/memory", false, answer_memory_profile, {NULL}},
	{"/debug/pprof/symbol", true, answer_symbol, {NULL}},
	{"/metrics", false, answer_metrics, {NULL}},
	{"/v1/account", false, answer_account, {NULL}},
	{"/v1/status", false, answer_status, {NULL}},
	{"/v1/sampling", true, answer_sampling, {"state", "for", "sample_bytes", NULL}},
	{"/v1/trim", true, answer_trim, {NULL}},
};

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < COUNT_OF(routes); i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

static bool route_takes(const struct route *route, const char *name)
{
	for (const char *const *p = route->params; *p != NULL; p++)
		if (strcmp(*p, name) == 0)
			return true;
	return false;
}

static void refuse_unknown(struct answer *a, const struct route *route, const char *name)
{
	char quoted[LOG_QUOTE_BYTES], known[96];
	size_t n = (size_t)snprintf(known, sizeof(known), "no parameters");
	for (size_t i = 0; route->params[i] != NULL; i++)
		n = i == 0 ? (size_t)snprintf(known, sizeof(known), "%s", route->params[0])
			   : n + (size_t)snprintf(known + n, sizeof(known) - n, ", %s",
						  route->params[i]);
	handlers_refuse(a, 400, "unknown parameter %s: %s takes %s", log_quote(quoted, name),
			route->path, known);
}

/* Every parameter known, none twice. */
static bool check_params(struct answer *a, const struct route *route, const struct http_request *r)
{
	for (uint32_t i = 0; i < r->param_count; i++) {
		const char *name = r->params[i].name;
		if (!route_takes(route, name)) {
			refuse_unknown(a, route, name);
			return false;
		}
		if (param_value(r, name) != r->params[i].value) {
			handlers_refuse(a, 400,
					"parameter %s is given more than once: give it once", name);
			return false;
		}
	}
	return true;
}

void handlers_begin(struct answer *a, const struct http_request *r)
{
	char quoted[LOG_QUOTE_BYTES];
	const struct route *route = find_route(r->path);
	seccomp_look();
	a->head_only = r->method == HTTP_HEAD;
	if (route == NULL) {
		handlers_refuse(a, 404,
				"no page %s here: there are /debug/pprof/, /debug/pprof/cgoheap, "
				"/debug/pprof/allheap, /debug/pprof/memory, /v1/account, "
				"/v1/status, /metrics, POST "
				"/v1/sampling and POST /v1/trim",
				log_quote(quoted, r->path));
		return;
	}
	if (route->is_post ? r->method != HTTP_POST
			   : r->method != HTTP_GET && r->method != HTTP_HEAD) {
		a->allow = route->is_post ? "POST" : "GET, HEAD";
		handlers_refuse(a, 405, "%s does not go with %s: use %s",
				log_quote(quoted, r->method_name), route->path,
				route->is_post ? "POST" : "GET");
		return;
	}
	if (check_params(a, route, r))
		route->answer(a, r);
}

void handlers_finish(struct answer *a)
{
	a->due_ns = 0;
	a->finish(a);
}
