/* The table of pages, and the handlers of the small ones. */
#include "serve/handlers.h"

#include <stdio.h>
#include <string.h>

#include "base/seccomp.h"
#include "config/log.h"
#include "record/control.h"
#include "serve/events.h"
#include "serve/handlers_memory.h"
#include "serve/handlers_profile.h"
#include "serve/params.h"
#include "serve/status.h"

/* ---- the index ---------------------------------------------------------- */

static void answer_index(struct answer *a, const struct http_request *r)
{
	static const char page[] =
		"<!DOCTYPE html>\n"
		"<html><head><title>cgoheap</title></head><body>\n"
		"<h1>cgoheap " CGOHEAP_VERSION "</h1>\n"
		"<p>C memory of this process, by the stack that allocated it.</p>\n"
		"<ul>\n"
		"<li><a href=\"/debug/pprof/cgoheap?debug=1\">/debug/pprof/cgoheap?debug=1</a> the "
		"profile as text</li>\n"
		"<li><a href=\"/debug/pprof/cgoheap\">/debug/pprof/cgoheap</a> the profile for go "
		"tool pprof</li>\n"
		"<li><a href=\"/debug/pprof/cgoheap?seconds=30\">/debug/pprof/cgoheap?seconds=30"
		"</a> what is allocated and freed within 30 seconds</li>\n"
		"<li><a href=\"/debug/pprof/cgoheap?older=10m\">/debug/pprof/cgoheap?older=10m</a> "
		"only blocks at least that old</li>\n"
		"<li><a href=\"/debug/pprof/cgoheap?view=peak\">/debug/pprof/cgoheap?view=peak</a> "
		"what was in use when most was; of=rss, reset=1</li>\n"
		"<li>also: symbols=none (addresses and build IDs only), frames=all (keeps "
		"cgo's frames)</li>\n"
		"<li><a href=\"/debug/pprof/allheap\">/debug/pprof/allheap</a> Go's heap and C's "
		"in "
		"one profile, if the service imports cgo_bridge; seconds=, frames=all</li>\n"
		"<li><a href=\"/debug/pprof/memory\">/debug/pprof/memory</a> the whole RSS as one "
		"profile</li>\n"
		"<li><a href=\"/v1/account\">/v1/account</a> resident memory by owner, as "
		"JSON</li>\n"
		"<li><a href=\"/metrics\">/metrics</a> the same for Prometheus</li>\n"
		"<li><a href=\"/v1/events?seconds=10\">/v1/events?seconds=10</a> sampled "
		"allocations and frees as they happen, as JSON lines; kinds=, account=</li>\n"
		"<li><a href=\"/v1/status\">/v1/status</a> state, samples, dropped samples, as "
		"JSON</li>\n"
		"<li>POST /v1/sampling?state=on|off&amp;for=10m&amp;sample_bytes=524288</li>\n"
		"<li>POST /v1/trim returns the C allocator's free pages to the kernel</li>\n"
		"</ul>\n"
		"</body></html>\n";
	(void)r;
	a->status = 200;
	a->type = "text/html; charset=utf-8";
	a->text = page;
	a->text_bytes = sizeof(page) - 1;
}

/* ---- status and sampling ------------------------------------------------ */

static void answer_status(struct answer *a, const struct http_request *r)
{
	(void)r;
	if (status_write_json(&a->body.sink) != 0) {
		answer_refuse_no_memory(a);
		return;
	}
	a->status = 200;
	a->type = "application/json";
}

/*
 * pprof asks here for names of addresses that have none, and gives up the whole profile on any
 * status but 200. Unless symbols=none, the profile already has all names that this process
 * knows, so the answer has none.
 */
static void answer_symbol(struct answer *a, const struct http_request *r)
{
	(void)r;
	answer_line(a, 200, ANSWER_TEXT_PLAIN,
		    snprintf(a->line, sizeof(a->line), "num_symbols: 0\n"));
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
	const char *state = params_value(r, "state");
	bool on = state != NULL && strcmp(state, "on") == 0;
	if (state == NULL) {
		answer_refuse(a, 400, "missing parameter state: expected on or off");
		return;
	}
	if (!on && strcmp(state, "off") != 0) {
		params_refuse(a, "state", state, "on or off");
		return;
	}
	if (params_duration(a, r, "for", &for_ns) ||
	    params_bytes(a, r, "sample_bytes", &sample_bytes))
		return;
	if (!on && r->param_count > 1) {
		answer_refuse(a, 400, "state=off takes no other parameters");
		return;
	}
	control_sampling(on, (uint32_t)sample_bytes, for_ns);
	answer_sampling_state(a);
}

/* ---- the table ---------------------------------------------------------- */

static const struct route {
	const char *path;
	bool is_post; /* otherwise GET and HEAD */
	void (*answer)(struct answer *a, const struct http_request *r);
	const char *params[12]; /* NULL-terminated */
} routes[] = {
	{"/", false, answer_index, {NULL}},
	{"/debug/pprof", false, answer_index, {NULL}},
	{"/debug/pprof/", false, answer_index, {NULL}},
	{"/debug/pprof/cgoheap",
	 false,
	 answer_profile,
	 {"debug", "seconds", "older", "symbols", "frames", "view", "labels", "of", "reset", NULL}},
	{"/debug/pprof/allheap", false, answer_allheap, {"seconds", "frames", NULL}},
	{"/debug/pprof/memory", false, answer_memory_profile, {NULL}},
	{"/debug/pprof/symbol", true, answer_symbol, {NULL}},
	{"/metrics", false, answer_metrics, {NULL}},
	{"/v1/account", false, answer_account, {NULL}},
	{"/v1/events", false, answer_events, {"seconds", "kinds", "account", NULL}},
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
	char quoted[LOG_QUOTE_BYTES], known[128];
	size_t n = (size_t)snprintf(known, sizeof(known), "no parameters");
	for (size_t i = 0; route->params[i] != NULL; i++)
		n = i == 0 ? (size_t)snprintf(known, sizeof(known), "%s", route->params[0])
			   : n + (size_t)snprintf(known + n, sizeof(known) - n, ", %s",
						  route->params[i]);
	answer_refuse(a, 400, "unknown parameter %s: %s takes %s", log_quote(quoted, name),
		      route->path, known);
}

/* Checks that every parameter is known and none is repeated. */
static int check_params(struct answer *a, const struct route *route, const struct http_request *r)
{
	for (uint32_t i = 0; i < r->param_count; i++) {
		const char *name = r->params[i].name;
		if (!route_takes(route, name)) {
			refuse_unknown(a, route, name);
			return -1;
		}
		if (params_value(r, name) != r->params[i].value) {
			answer_refuse(a, 400, "parameter %s given more than once", name);
			return -1;
		}
	}
	return 0;
}

void handlers_begin(struct answer *a, const struct http_request *r)
{
	char quoted[LOG_QUOTE_BYTES];
	const struct route *route = find_route(r->path);
	seccomp_look();
	a->head_only = r->method == HTTP_HEAD;
	if (route == NULL) {
		answer_refuse(a, 404,
			      "no page %s: expected /debug/pprof/, /debug/pprof/cgoheap, "
			      "/debug/pprof/allheap, /debug/pprof/memory, /v1/account, "
			      "/v1/events, /v1/status, /metrics, POST "
			      "/v1/sampling or POST /v1/trim",
			      log_quote(quoted, r->path));
		return;
	}
	if (route->is_post ? r->method != HTTP_POST
			   : r->method != HTTP_GET && r->method != HTTP_HEAD) {
		a->allow = route->is_post ? "POST" : "GET, HEAD";
		answer_refuse(a, 405, "method %s not allowed for %s; use %s",
			      log_quote(quoted, r->method_name), route->path,
			      route->is_post ? "POST" : "GET");
		return;
	}
	if (check_params(a, route, r) == 0)
		route->answer(a, r);
}

void handlers_finish(struct answer *a)
{
	a->due_ns = 0;
	a->finish(a);
}
