/* See events_lines.h. */
#include "serve/events_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "record/labelsets.h"
#include "record/labeltext.h"
#include "profile/account_json.h"

void events_lines_init(struct events_lines *l, struct sink *sink)
{
	text_init(&l->text, sink);
	l->monotonic_ns = clock_ns(CLOCK_MONOTONIC);
	l->realtime_ns = clock_ns(CLOCK_REALTIME);
}

int events_lines_flush(struct events_lines *l)
{
	return text_flush(&l->text);
}

static uint64_t wall_of(const struct events_lines *l, uint64_t monotonic_ns)
{
	return l->realtime_ns - (l->monotonic_ns - monotonic_ns);
}

void events_lines_begin(struct events_lines *l, const char *kind, uint64_t monotonic_ns)
{
	char wall[JSON_TIME_BYTES];

	json_format_time(wall_of(l, monotonic_ns), wall);
	text_printf(&l->text, "{\"kind\":\"%s\",\"wall\":\"%s\",\"mono_ns\":%" PRIu64, kind, wall,
		    monotonic_ns);
}

/* ---- events --------------------------------------------------------------- */

static uint64_t estimated_bytes(const struct event *e)
{
	uint64_t fixed = sample_weight(e->size, e->interval ? e->interval : 1).bytes_fx;

	return (fixed + (1u << (WEIGHT_BYTE_BITS - 1))) >> WEIGHT_BYTE_BITS;
}

/* From the tick in which it was allocated: a tenth of a second, rounded down. */
static uint64_t age_ns(const struct event *e)
{
	uint64_t made_ns = region_layout.start_monotonic_ns + e->tick * LIVE_TICK_NS;

	return e->time_ns > made_ns ? (e->time_ns - made_ns) / LIVE_TICK_NS * LIVE_TICK_NS : 0;
}

void events_lines_event(struct events_lines *l, const struct event *e)
{
	struct text *t = &l->text;

	events_lines_begin(l, e->kind == EVENT_FREE ? "free" : "alloc", e->time_ns);
	text_printf(t,
		    ",\"thread\":%" PRIu32 ",\"address\":\"%#" PRIx64 "\",\"size\":%" PRIu64
		    ",\"estimated_bytes\":%" PRIu64 ",\"stack\":\"%016" PRIx64 "\"",
		    e->thread, e->address, e->size, estimated_bytes(e), e->stack);
	if (e->kind == EVENT_FREE)
		text_printf(t, ",\"age_ns\":%" PRIu64, age_ns(e));
	if (e->kind == EVENT_KEPT)
		text_string(t, ",\"again\":true");
	text_string(t, "}\n");
}

void events_lines_lost(struct events_lines *l, uint64_t count)
{
	events_lines_begin(l, "lost", l->monotonic_ns);
	text_printf(&l->text, ",\"count\":%" PRIu64 "}\n", count);
}

/* ---- stacks --------------------------------------------------------------- */

static void write_line(struct text *t, const struct source_line *line)
{
	text_string(t, "{\"function\":");
	text_json_string(t, line->function);
	if (*line->file) {
		text_string(t, ",\"file\":");
		text_json_string(t, line->file);
		text_printf(t, ",\"line\":%" PRId64, line->line);
	}
	text_string(t, "}");
}

static void write_frame(struct text *t, const struct profile_frame *f)
{
	char name[SYNTHETIC_NAME_BYTES];
	const struct location *l = f->location;

	if (f->synthetic) {
		synthetic_name(f->synthetic, name);
		write_line(t, &(struct source_line){.function = name, .file = ""});
		return;
	}
	for (uint32_t i = 0; l && i < l->line_count; i++) {
		text_string(t, i ? "," : "");
		write_line(t, &l->lines[i]);
	}
	if (l && l->line_count)
		return;
	text_printf(t, "{\"function\":null,\"address\":\"%#" PRIx64 "\",\"module\":", f->pc - 1);
	text_json_string(t, l && l->module ? l->module->path : NULL);
	text_string(t, "}");
}

static void write_label_text(struct text *t, const struct golabel_text *from)
{
	char text[LABELTEXT_BYTES];

	labeltext_escape(from, false, text);
	if (*text)
		text_json_string(t, text);
	else
		text_string(t, "\"\"");
}

static void write_labels(struct text *t, uint32_t set)
{
	struct golabels have;

	labelsets_get(set, &have);
	if (have.count == 0)
		return;
	for (uint32_t i = 0; i < have.count; i++) {
		text_string(t, i ? "," : ",\"labels\":{");
		write_label_text(t, &have.list[i].key);
		text_string(t, ":");
		write_label_text(t, &have.list[i].value);
	}
	text_string(t, "}");
}

static void begin_stack(struct events_lines *l, uint64_t id)
{
	events_lines_begin(l, "stack", l->monotonic_ns);
	text_printf(&l->text, ",\"stack\":\"%016" PRIx64 "\",\"frames\":", id);
}

void events_lines_stack(struct events_lines *l, const struct profile_job *job,
			const struct stack *stack, uint64_t id)
{
	struct profile_frame frames[PROFILE_MAX_FRAMES];
	size_t count = profile_frames(job, stack, frames);

	begin_stack(l, id);
	text_string(&l->text, "[");
	for (size_t i = 0; i < count; i++) {
		text_string(&l->text, i ? "," : "");
		write_frame(&l->text, &frames[i]);
	}
	text_string(&l->text, "]");
	write_labels(&l->text, stack->labels);
	text_string(&l->text, "}\n");
}

void events_lines_unknown_stack(struct events_lines *l, uint64_t id)
{
	begin_stack(l, id);
	text_string(&l->text, "null}\n");
}

/* ---- Go, and the account --------------------------------------------------- */

static void write_known(struct text *t, const char *key, bool is_known, uint64_t value)
{
	text_printf(t, ",\"%s\":", key);
	if (is_known)
		text_printf(t, "%" PRIu64, value);
	else
		text_string(t, "null");
}

static void write_figure(struct text *t, const char *key, uint64_t figure)
{
	write_known(t, key, figure != CGOHEAP_BRIDGE_UNKNOWN, figure);
}

static void write_since(struct text *t, const char *key, const uint64_t *figures,
			const uint64_t *before, enum cgoheap_bridge_figure which)
{
	bool is_known =
		figures[which] != CGOHEAP_BRIDGE_UNKNOWN && before[which] != CGOHEAP_BRIDGE_UNKNOWN;

	write_known(t, key, is_known, figures[which] - before[which]);
}

void events_lines_gc(struct events_lines *l, const uint64_t figures[CGOHEAP_GO_FIGURES],
		     const uint64_t before[CGOHEAP_GO_FIGURES])
{
	struct text *t = &l->text;
	uint64_t ended_ns = figures[CGOHEAP_GO_LAST_GC];
	uint64_t ago_ns = l->realtime_ns > ended_ns ? l->realtime_ns - ended_ns : 0;

	events_lines_begin(l, "gc", l->monotonic_ns - (ago_ns < l->monotonic_ns ? ago_ns : 0));
	write_since(t, "cycles", figures, before, CGOHEAP_GO_GC_CYCLES);
	write_figure(t, "cycles_total", figures[CGOHEAP_GO_GC_CYCLES]);
	write_since(t, "pause_ns", figures, before, CGOHEAP_GO_GC_PAUSE);
	write_since(t, "allocated_bytes", figures, before, CGOHEAP_GO_ALLOCATED);
	write_figure(t, "heap_live_bytes", figures[CGOHEAP_GO_HEAP_LIVE]);
	write_figure(t, "heap_goal_bytes", figures[CGOHEAP_GO_HEAP_GOAL]);
	write_figure(t, "goroutines", figures[CGOHEAP_GO_GOROUTINES]);
	text_string(t, "}\n");
}

int events_lines_account(struct events_lines *l, struct scratch *scratch,
			 const struct account *account, const struct account_parts *parts)
{
	char wall[JSON_TIME_BYTES];
	struct json j;

	json_format_time(l->realtime_ns, wall);
	json_init(&j, l->text.sink);
	json_open(&j, NULL);
	json_string(&j, "kind", "account");
	json_string(&j, "wall", wall);
	json_number(&j, "mono_ns", l->monotonic_ns);
	account_json_write(&j, "account", scratch, account, parts);
	json_close(&j);
	return json_finish(&j);
}

int events_lines_end_alone(char *out, size_t bytes, uint64_t lost, const char *reason)
{
	unsigned long long now_ns = clock_monotonic_ns();
	char wall[JSON_TIME_BYTES];

	json_format_time(clock_ns(CLOCK_REALTIME), wall);
	return snprintf(out, bytes,
			"{\"kind\":\"lost\",\"wall\":\"%s\",\"mono_ns\":%llu,\"count\":%llu}\n"
			"{\"kind\":\"end\",\"wall\":\"%s\",\"mono_ns\":%llu,\"reason\":\"%s\"}\n",
			wall, now_ns, (unsigned long long)lost, wall, now_ns, reason);
}
