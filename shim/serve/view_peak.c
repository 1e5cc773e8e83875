/* See view_peak.h. */
#include "serve/view_peak.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "account/peakwatch.h"
#include "proc/procinfo.h"
#include "record/live.h"
#include "record/peak.h"
#include "serve/handlers_profile.h"
#include "serve/params.h"
#include "serve/status.h"
#include "text/json.h"

int view_peak_params(struct answer *a, const struct http_request *r, enum profile_view view)
{
	static const char *const names[PEAKS] = {[PEAK_C] = "c", [PEAK_RSS] = "rss"};
	size_t of = PEAK_C;

	if (view != PROFILE_PEAK &&
	    (params_value(r, "of") != NULL || params_value(r, "reset") != NULL)) {
		answer_refuse(a, 400, "of and reset need view=peak");
		return -1;
	}
	a->peak_of_rss = false;
	if (params_choice(a, r, "of", names, PEAKS, &of) ||
	    params_word(a, r, "reset", "1", &a->peak_resets))
		return -1;
	a->peak_of_rss = of == PEAK_RSS;
	return 0;
}

/* ---- what is said ---------------------------------------------------------- */

#define LINES      8
#define LINE_BYTES 256

struct lines {
	struct scratch *work;
	const char **list; /* room for LINES after what was there; NULL-terminated */
	size_t count;
};

/* In front of a profile's other comments stays what the profile always says first. */
static int lines_begin(struct lines *l, struct scratch *work)
{
	const char *const *usual = status_comments(work);
	size_t count = 0;

	while (usual != NULL && usual[count] != NULL)
		count++;
	*l = (struct lines){.work = work, .count = count};
	l->list = usual ? scratch_alloc(work, (count + LINES + 1) * sizeof(*l->list)) : NULL;
	if (l->list == NULL)
		return -1;
	memcpy(l->list, usual, count * sizeof(*l->list));
	return 0;
}

static void line_add(struct lines *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void line_add(struct lines *l, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	char *kept = scratch_strdup(l->work, line, strlen(line));
	if (kept != NULL)
		l->list[l->count++] = kept;
}

static void format_tick(uint32_t tick, char out[JSON_TIME_BYTES])
{
	json_format_time(region_layout.start_realtime_ns + tick * LIVE_TICK_NS, out);
}

static void say_peak(struct lines *l, const char *what, const char *other,
		     const struct peak_height *height, uint64_t now_bytes)
{
	char at[JSON_TIME_BYTES], since[JSON_TIME_BYTES];

	format_tick(height->tick, at);
	format_tick(height->since_tick, since);
	line_add(l, "peak of %s: %" PRIu64 " bytes at %s, the highest since %s", what,
		 height->bytes, at, since);
	if (height->other_bytes != UNKNOWN)
		line_add(l, "%s then: %" PRIu64 " bytes", other, height->other_bytes);
	if (now_bytes != UNKNOWN)
		line_add(l, "%s now: %" PRIu64 " bytes", what, now_bytes);
}

static void say_high_water(struct lines *l, struct scratch *work)
{
	struct process_stats kernel;

	procinfo_read_status(work, NULL, &kernel);
	line_add(l,
		 "RSS is looked at once a second, or 20 times while it rises fast, and only while "
		 "sampling is on: a shorter peak is missed");
	if (kernel.vm_hwm != UNKNOWN)
		line_add(l, "highest RSS by the kernel, since the program began: %" PRIu64 " bytes",
			 kernel.vm_hwm);
}

static void say_precision(struct lines *l)
{
	line_add(l,
		 "each sample was looked at when it came and went: the peak is at most %llu bytes "
		 "for each further thread below the true one",
		 (unsigned long long)PEAK_BATCH_BYTES);
}

static const char *const *comments(struct answer *a, struct scratch *work, uint64_t rss_bytes)
{
	struct lines l;
	struct peak_height height = peak_height(a->peak_of_rss ? PEAK_RSS : PEAK_C);

	if (lines_begin(&l, work))
		return NULL;
	if (a->peak_of_rss) {
		say_peak(&l, "RSS", "C in use", &height, rss_bytes);
		say_high_water(&l, work);
	} else {
		say_peak(&l, "C in use", "RSS", &height, peak_in_use());
		say_precision(&l);
	}
	line_add(&l, "alloc_* repeats inuse_*; stacks of threads are not included");
	return l.list;
}

int view_peak_build(struct answer *a, struct scratch *work)
{
	struct snapshot then;
	uint64_t rss_bytes = peakwatch_look();

	if (a->peak_of_rss && !peak_height(PEAK_RSS).bytes) {
		answer_refuse(a, 503,
			      "RSS is not known: this process cannot read /proc/self/statm; "
			      "of=c does not need it");
		return 0;
	}
	if (peak_snapshot(work, a->peak_of_rss ? PEAK_RSS : PEAK_C, &then))
		return -1;
	a->options.comments = comments(a, work, rss_bytes);
	if (a->options.comments == NULL || handlers_profile_write(a, work, &then))
		return -1;
	if (a->peak_resets && !a->head_only) {
		peak_reset();
		peakwatch_look();
	}
	return 0;
}
