/*
 * See metrics.h.  Names: base units, bytes and seconds; counters end in _total;
 * one family for all owners, which sum to the resident set.
 */
#include "serve/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "region/region.h"
#include "text/accept.h"
#include "text/text.h"
#include "unwind/capture.h"
#include "record/budget.h"
#include "record/control.h"
#include "record/labelsets.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "hook/malloc_slow.h"

/* ---- the format --------------------------------------------------------- */

struct page {
	struct text text;
	enum metrics_format format;
};

static bool ends_in(const char *name, const char *end)
{
	size_t bytes = strlen(name), end_bytes = strlen(end);
	return bytes > end_bytes && memcmp(name + bytes - end_bytes, end, end_bytes) == 0;
}

/* In OpenMetrics a counter's family lacks the _total of its samples, and its unit ends its name. */
static void family(struct page *t, const char *name, const char *type, const char *help)
{
	bool is_open = t->format == METRICS_OPENMETRICS;
	int bytes = (int)strlen(name) - (is_open && ends_in(name, "_total") ? 6 : 0);
	text_printf(&t->text, "# HELP cgoheap_%.*s %s\n# TYPE cgoheap_%.*s %s\n", bytes, name, help,
		    bytes, name, type);
	if (is_open && (ends_in(name, "_bytes") || strstr(name, "_seconds")))
		text_printf(&t->text, "# UNIT cgoheap_%.*s %s\n", bytes, name,
			    ends_in(name, "_bytes") ? "bytes" : "seconds");
}

/* label NULL: none.  Values are ours, and need no escapes. */
static void sample(struct page *t, const char *name, const char *label, const char *label_value,
		   uint64_t value)
{
	if (value == UNKNOWN)
		return;
	if (label)
		text_printf(&t->text, "cgoheap_%s{%s=\"%s\"} %" PRIu64 "\n", name, label,
			    label_value, value);
	else
		text_printf(&t->text, "cgoheap_%s %" PRIu64 "\n", name, value);
}

static void gauge(struct page *t, const char *name, const char *help, uint64_t value)
{
	if (value == UNKNOWN)
		return;
	family(t, name, "gauge", help);
	sample(t, name, NULL, NULL, value);
}

static void counter(struct page *t, const char *name, const char *help, uint64_t value)
{
	family(t, name, "counter", help);
	sample(t, name, NULL, NULL, value);
}

static void counter_seconds(struct page *t, const char *name, const char *help, uint64_t ns)
{
	family(t, name, "counter", help);
	text_printf(&t->text, "cgoheap_%s %" PRIu64 ".%09" PRIu64 "\n", name, ns / 1000000000,
		    ns % 1000000000);
}

static void gauge_seconds(struct page *t, const char *name, const char *help, uint64_t ns)
{
	if (ns == UNKNOWN)
		return;
	family(t, name, "gauge", help);
	text_printf(&t->text, "cgoheap_%s %" PRIu64 ".%09" PRIu64 "\n", name, ns / 1000000000,
		    ns % 1000000000);
}

/* ---- the account -------------------------------------------------------- */

/* What account_figures.h says of a member. */
#define WRITE(kind, ...)                                   WRITE_##kind(__VA_ARGS__)
#define WRITE_FIGURE(value, unit, key, name, metric, help) write_##unit(t, metric, help, value);
#define WRITE_NUMBER                                       WRITE_FIGURE
#define WRITE_METRIC(value, unit, metric, help)            write_##unit(t, metric, help, value);
#define WRITE_TEXT(...)
#define WRITE_FLAG(...)
#define WRITE_PART(...)

static void write_bytes(struct page *t, const char *metric, const char *help, uint64_t value)
{
	if (*metric)
		gauge(t, metric, help, value);
}
#define write_count write_bytes

static void write_nanoseconds(struct page *t, const char *metric, const char *help, uint64_t value)
{
	if (*metric)
		gauge_seconds(t, metric, help, value);
}

/* A family each; what is unexplained is an owner, too. */
#define OWNERS(kind, ...) OWNERS_##kind(__VA_ARGS__)
#define OWNERS_FLAG(...)
#define OWNERS_PART(...)
#define OWNERS_FIGURE(value, unit, key, name, metric, help)                                        \
	family(t, metric, "gauge", help);                                                          \
	for (const struct account_bytes *s = owners; s <= unexplained; s++)                        \
		sample(t, metric, "owner",                                                         \
		       s < unexplained ? account_owner_name((enum account_owner)(s - owners))      \
				       : "unexplained",                                            \
		       s->known ? value : UNKNOWN);

static void write_owners(struct page *t, const struct account *a)
{
	struct account_bytes owners[OWNER_COUNT + 1], *unexplained = &owners[OWNER_COUNT];
	memcpy(owners, a->owners, sizeof(a->owners));
	*unexplained = (struct account_bytes){.resident = a->unexplained_bytes,
					      .huge = UNKNOWN,
					      .lazy_free = UNKNOWN,
					      .swapped = UNKNOWN,
					      .mapped = UNKNOWN,
					      .known = true};
	ACCOUNT_OWNER(OWNERS)
}

static void write_whole(struct page *t, const struct account *s)
{
	ACCOUNT_WHOLE(WRITE)
	ACCOUNT_ESTIMATE(WRITE)
}

static void write_process(struct page *t, const struct process_stats *s)
{
	ACCOUNT_PROCESS(WRITE)
}

static void write_cgroup(struct page *t, const struct cgroup_stats *s)
{
	ACCOUNT_CGROUP(WRITE)
}

static void write_allocator(struct page *t, const struct allocator_stats *s)
{
	ACCOUNT_ALLOCATOR(WRITE)
}

static void write_go(struct page *t, const struct go_stats *s)
{
	ACCOUNT_GO(WRITE)
}

/* ---- the library -------------------------------------------------------- */

static void write_version(struct page *t, const char *name, const char *label)
{
	sample(t, name, label, CGOHEAP_VERSION, 1);
}

static void write_drops(struct page *t, const char *name, const char *label)
{
	sample(t, name, label, "live_full", LOAD(&slow_drops.live_full));
	sample(t, name, label, "reentered", LOAD(&slow_drops.reentered));
	sample(t, name, label, "no_stack", LOAD(&slow_drops.no_stack));
	sample(t, name, label, "stale", LOAD(&slow_drops.stale));
}

static void write_stack_ends(struct page *t, const char *name, const char *label)
{
	for (uint32_t i = 0; i < CAPTURE_WALK_ENDS; i++)
		sample(t, name, label, capture_end_name(i), slow_ended(i));
}

static void write_library(struct page *t)
{
	struct control_state control = control_get();
	struct mappings_counters mappings = mappings_counters();
#define SINGLE(type, name, value, help) type(t, name, help, value);
#define FAMILY(type, name, label, write, help)                                                     \
	family(t, name, #type, help);                                                              \
	write(t, name, label);
	METRICS_OF_LIBRARY(SINGLE, FAMILY)
}

int metrics_write(struct sink *sink, enum metrics_format format, const struct account *a)
{
	struct page t = {.format = format};
	text_init(&t.text, sink);
	write_owners(&t, a);
	write_whole(&t, a);
	write_process(&t, &a->process);
	write_cgroup(&t, &a->cgroup);
	write_allocator(&t, &a->allocator);
	write_go(&t, &a->go);
	write_library(&t);
	if (format == METRICS_OPENMETRICS)
		text_string(&t.text, "# EOF\n");
	return text_flush(&t.text);
}

enum metrics_format metrics_format_of(const char *accept)
{
	unsigned open = accept_quality(accept, "application/openmetrics-text", "1.0.0");
	return open > 0 && open >= accept_quality(accept, "text/plain", "0.0.4")
		       ? METRICS_OPENMETRICS
		       : METRICS_TEXT;
}

const char *metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}
