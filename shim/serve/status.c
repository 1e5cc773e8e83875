/* See status.h. */
#include "serve/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/pagemap.h"
#include "base/seccomp.h"
#include "base/state.h"
#include "base/sys.h"
#include "text/json.h"
#include "proc/modules.h"
#include "proc/procinfo.h"
#include "go/bridge.h"
#include "go/gomodules.h"
#include "go/gosym.h"
#include "unwind/capture.h"
#include "unwind/golabels.h"
#include "record/budget.h"
#include "record/cohorts.h"
#include "record/control.h"
#include "record/frees.h"
#include "record/labelsets.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "record/stacks_reclaim.h"
#include "hook/family.h"
#include "hook/malloc_slow.h"
#include "hook/real.h"
#include "hook/threads.h"
#include "account/allocator.h"
#include "serve/server.h"

/* "sampling", "dormant", "passive" */
static const char *state_name(void)
{
	if (shim_state_now() == SHIM_PASSIVE)
		return "passive";
	return control_get().on ? "sampling" : "dormant";
}

/* ---- the status, part by part ----------------------------------------- */

static void write_state(struct json *j)
{
	struct control_state c = control_get();
	char start[JSON_TIME_BYTES] = "";
	if (region)
		json_format_time(region_layout.start_realtime_ns, start);
	json_string(j, "version", CGOHEAP_VERSION);
	json_number(j, "pid", (uint64_t)sys_getpid());
	json_string(j, "state", state_name());
	json_string(j, "seccomp", seccomp_mode_name());
	json_number(j, "sample_bytes", c.sample_bytes);
	json_number(j, "configured_sample_bytes", c.configured_sample_bytes);
	json_known(j, "sampling_remaining_ns", c.on && c.remaining_ns, c.remaining_ns);
	json_known(j, "on_ns", c.on, c.on_ns);
	json_number(j, "off_ns", c.off_ns);
	json_known(j, "uptime_ns", region != NULL,
		   region ? clock_monotonic_ns() - region_layout.start_monotonic_ns : 0);
	json_string(j, "start_time", start);
}

static void write_samples(struct json *j)
{
	json_open(j, "samples");
	json_number(j, "taken", slow_samples_taken());
	json_known(j, "live", region != NULL, region ? live_count() : 0);
	json_close(j);
	json_open(j, "dropped");
	json_number(j, "live_full", LOAD(&slow_drops.live_full));
	json_number(j, "reentered", LOAD(&slow_drops.reentered));
	json_number(j, "no_stack", LOAD(&slow_drops.no_stack));
	json_number(j, "stale", LOAD(&slow_drops.stale));
	json_number(j, "labels", labelsets_counters().dropped);
	json_close(j);
	json_open(j, "missed_frees"); /* noticed when the addresses were reused */
	json_number(j, "count", LOAD(&slow_drops.stale));
	json_number(j, "bytes", LOAD(&slow_missed_bytes));
	json_close(j);
	struct frees_counters c = frees_counters();
	json_open(j, "who_frees");
	json_number(j, "captured", c.captured);
	json_number(j, "no_stack", c.missed);
	json_number(j, "no_room", c.no_room);
	json_number(j, "sites", c.sites);
	json_number(j, "one_in", c.one_in);
	json_close(j);
}

static void write_labels(struct json *j)
{
	struct labelsets_counters c = labelsets_counters();
	json_string(j, "goroutine_labels", golabels_status());
	json_open(j, "label_sets");
	json_number(j, "distinct", c.sets);
	json_number(j, "truncated", c.part);
	json_close(j);
}

struct stack_ends {
	uint64_t by_end[CAPTURE_END_COUNT];
	uint64_t complete, truncated;
};

static struct stack_ends stack_ends_read(void)
{
	struct stack_ends e = {0};
	for (uint32_t i = 0; i < CAPTURE_WALK_ENDS; i++) {
		e.by_end[i] = slow_ended(i);
		if (capture_end_is_complete(i))
			e.complete += e.by_end[i];
		else
			e.truncated += e.by_end[i];
	}
	return e;
}

static void write_stacks(struct json *j)
{
	struct stack_ends e = stack_ends_read();
	json_open(j, "stacks");
	json_known(j, "distinct", region != NULL, region ? stacks_count() : 0);
	json_known(j, "sites", region != NULL, region ? stacks_site_count() : 0);
	json_number(j, "complete", e.complete);
	json_number(j, "truncated", e.truncated);
	json_open(j, "by_end");
	for (uint32_t i = 0; i < CAPTURE_WALK_ENDS; i++)
		json_number(j, capture_end_name(i), e.by_end[i]);
	json_close(j);
	json_number(j, "no_room", stacks_coarse());
	json_number(j, "reclaimed", stacks_reclaimed());
	json_close(j);
}

static void write_cohorts(struct json *j)
{
	struct cohorts_counters c = {0};
	if (region)
		c = cohorts_counters();
	json_open(j, "cohorts");
	json_known(j, "marks", region != NULL, c.marks);
	json_known(j, "stacks", region != NULL, c.rows);
	json_known(j, "max_stacks", region != NULL, c.room);
	json_known(j, "without", region != NULL, c.without);
	json_known(j, "evicted", region != NULL, c.evicted);
	json_close(j);
}

static void write_ledger(struct json *j)
{
	struct mappings_counters c = mappings_counters();
	json_open(j, "ledger");
	json_number(j, "ranges", c.ranges);
	json_number(j, "refused", c.refused);
	json_number(j, "interrupted", c.interrupted);
	json_number(j, "uncaptured", c.uncaptured);
	json_close(j);
}

static void write_memory(struct json *j)
{
	json_open(j, "memory");
	uint64_t resident = region ? region_resident_bytes() : UNKNOWN;
	json_known(j, "resident_bytes", resident != UNKNOWN, resident);
	/* Of all requests together, and what is kept between them. */
	json_known(j, "requests_peak_bytes", region != NULL, region_scratch_peak_bytes());
	json_known(j, "max_bytes", region != NULL,
		   region ? region_layout.region_bytes + region_scratch_max_bytes() +
				    REGION_FILTER_BYTES
			  : 0);
	json_close(j);
	json_number(j, "threads", sample_threads());
	json_number(j, "threads_missed", threads_missed()); /* whose stacks are not in the table
							     * of mappings */
}

static void write_overhead(struct json *j)
{
	struct budget_state b = budget_get();
	struct control_state c = control_get();
	json_open(j, "overhead");
	json_millionths(j, "cpu_ratio", true, b.cpu_ppm);
	json_millionths(j, "max_cpu_ratio", b.max_cpu_ppm != 0, b.max_cpu_ppm);
	json_millionths(j, "free_cpu_ratio", true, b.free_cpu_ppm);
	json_number(j, "cpu_ns", b.cpu_ns);
	json_string(j, "raised_for", b.is_cpu ? "cpu" : b.is_room ? "memory" : NULL);
	json_bool(j, "at_coarsest", b.is_coarsest);
	/* Every allocation, at any cost, without a time limit. */
	json_bool(j, "unbounded", c.on && c.sample_bytes == 1 && c.remaining_ns == 0);
	json_close(j);
}

static void write_package(struct json *j)
{
	json_open(j, "go_package");
	json_string(j, "version", bridge_is_attached() ? bridge_package_version() : NULL);
	json_number(j, "missed", bridge_missed());
	json_close(j);
}

/* For the names in the C library's file. */
#define SCRATCH_BYTES (2 * MIB)

static void write_host(struct json *j)
{
	struct scratch scratch = SCRATCH_INIT(SCRATCH_BYTES);
	char executable[4096];
	procinfo_executable(executable, sizeof(executable));
	json_open(j, "host");
	json_string(j, "go_version", gosym_version());
	json_number(j, "go_modules_missed", gomodules_missed());
	json_string(j, "allocator", allocator_name());
	json_string(j, "executable", executable);
	json_string(j, "unknown_functions", family_unknown(&scratch));
	json_close(j);
	scratch_release(&scratch);
	json_string(j, "socket", server_socket_path());
	json_bool(j, "listening_retried", server_is_retrying());
	json_known(j, "tcp_port", server_tcp_port() != 0, server_tcp_port());
}

int status_write_json(struct sink *sink)
{
	struct json j;
	json_init(&j, sink);
	json_open(&j, NULL);
	write_state(&j);
	write_samples(&j);
	write_stacks(&j);
	write_labels(&j);
	write_cohorts(&j);
	write_ledger(&j);
	write_memory(&j);
	write_overhead(&j);
	write_host(&j);
	write_package(&j);
	json_close(&j);
	return json_finish(&j);
}

/* ---- comments --------------------------------------------------------- */

#define MAX_COMMENTS  20
#define COMMENT_BYTES 256

struct comments {
	struct scratch *scratch;
	const char **list; /* MAX_COMMENTS entries; the last stays NULL */
	size_t count;
	bool failed;
};

static void comment_add(struct comments *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void comment_add(struct comments *c, const char *format, ...)
{
	char line[COMMENT_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	char *kept = scratch_strdup(c->scratch, line, strlen(line));
	if (!kept || c->count == MAX_COMMENTS - 1)
		c->failed = true;
	else
		c->list[c->count++] = kept;
}

/* Tells whether two profiles are of one process. */
static void comment_process(struct comments *c)
{
	char start[JSON_TIME_BYTES];
	if (!region)
		return;
	json_format_time(region_layout.start_realtime_ns, start);
	comment_add(c, "process %" PRIu64 ", started %s", (uint64_t)sys_getpid(), start);
}

static void comment_interval(struct comments *c)
{
	struct control_state s = control_get();
	struct budget_state budget = budget_get();
	comment_add(c, "state: %s", state_name());
	if (s.sample_bytes == 1)
		comment_add(c, "every allocation");
	else
		comment_add(c, "sampled every %" PRIu32 " bytes on average", s.sample_bytes);
	if (s.on && s.off_ns >= 1000000000)
		comment_add(c, "WARNING: sampling began %" PRIu64 " s ago", s.on_ns / 1000000000);
	if (s.off_ns >= 1000000000)
		comment_add(c,
			    "WARNING: sampling was off for %" PRIu64
			    " s since the start; allocations made then are not counted",
			    s.off_ns / 1000000000);
	if (s.sample_bytes != s.configured_sample_bytes)
		comment_add(c,
			    "WARNING: %" PRIu32 " times coarser than the requested %" PRIu32
			    " bytes, to keep recording within its bound on %s",
			    s.sample_bytes / s.configured_sample_bytes, s.configured_sample_bytes,
			    budget.is_cpu ? "processor time (CGOHEAP_MAX_CPU)"
					  : "memory (CGOHEAP_MAX_MEMORY)");
	if (budget.is_coarsest)
		comment_add(c,
			    "WARNING: that bound is exceeded: the interval never exceeds %" PRIu32
			    " bytes",
			    s.sample_bytes);
}

static void comment_drops(struct comments *c)
{
	const struct {
		const char *what;
		uint64_t count;
	} drops[] = {
		{"blocks dropped, no room for them (live_full); raise CGOHEAP_MAX_MEMORY",
		 LOAD(&slow_drops.live_full)},
		{"calls missed, made while their thread was inside the library (reentered)",
		 LOAD(&slow_drops.reentered)},
		{"calls missed, no recording stack left (no_stack)", LOAD(&slow_drops.no_stack)},
		{"frees missed, found when the address was used again (stale)",
		 LOAD(&slow_drops.stale)},
		{"samples recorded without their goroutine labels, because there are too many "
		 "(labels)",
		 labelsets_counters().dropped},
	};
	for (size_t i = 0; i < COUNT_OF(drops); i++)
		if (drops[i].count)
			comment_add(c, "%" PRIu64 " %s", drops[i].count, drops[i].what);
}

static void comment_stacks(struct comments *c)
{
	struct stack_ends e = stack_ends_read();
	char reasons[COMMENT_BYTES];
	size_t used = 0;
	if (!e.truncated)
		return;
	for (uint32_t i = 0; i < CAPTURE_WALK_ENDS; i++) {
		if (capture_end_is_complete(i) || !e.by_end[i] || used >= sizeof(reasons))
			continue;
		used += (size_t)snprintf(reasons + used, sizeof(reasons) - used, "%s%s %" PRIu64,
					 used ? ", " : "", capture_end_name(i), e.by_end[i]);
	}
	comment_add(c, "incomplete stacks: %" PRIu64 " of %" PRIu64 " (%s)", e.truncated,
		    e.truncated + e.complete, reasons);
}

static void comment_room(struct comments *c)
{
	if (stacks_coarse())
		comment_add(c,
			    "%" PRIu64
			    " samples recorded with at most the ends of their stacks, for lack "
			    "of room ([truncated: no_room]); raise CGOHEAP_MAX_MEMORY",
			    stacks_coarse());
	if (stacks_reclaimed())
		comment_add(c,
			    "%" PRIu64
			    " stacks with nothing in use were removed to make room; their "
			    "allocations are at [reclaimed stacks]",
			    stacks_reclaimed());
}

const char *const *status_comments(struct scratch *scratch)
{
	struct comments c = {.scratch = scratch};
	c.list = scratch_alloc(scratch, MAX_COMMENTS * sizeof(*c.list));
	if (!c.list)
		return NULL;
	comment_add(&c, "cgoheap %s", CGOHEAP_VERSION);
	comment_process(&c);
	comment_interval(&c);
	comment_drops(&c);
	comment_stacks(&c);
	comment_room(&c);
	return c.failed ? NULL : c.list;
}
