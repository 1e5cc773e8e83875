/*
 * The streams: what each wants, and what it gets when a batch is due. The lines: events_lines.c.
 */
#include "serve/events.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/seccomp.h"
#include "base/sys.h"
#include "record/control.h"
#include "serve/events_lines.h"
#include "serve/params.h"

#define BATCH_EVENTS 1024
#define SECOND_NS    UINT64_C(1000000000)

/* How often an account is taken if only its kind is given. */
#define ACCOUNT_EVERY_NS (10 * SECOND_NS)
/* Go does not answer: the server has waited a tenth of a second for it. */
#define GO_REST_NS (10 * SECOND_NS)

enum { ALLOC, FREE, ACCOUNT, GC, KINDS };
static const char *const kind_names[KINDS] = {"alloc", "free", "account", "gc"};

/* Stacks that the client has: a set by hash. When it is full it is emptied, and stacks come
 * again. */
#define SEEN_SLOTS 16384u
#define SEEN_MOST  (SEEN_SLOTS / 4 * 3)

struct events_stream {
	bool is_used, is_begun;
	uint32_t kinds; /* bits */
	uint64_t seconds, ends_ns, due_ns;
	const char *ending; /* why; NULL: not yet */
	uint64_t last;      /* number of the first event that is too late */
	struct eventring_reader ring;
	uint64_t *seen; /* SEEN_SLOTS; in scratch */
	uint32_t seen_count;
	struct scratch scratch;
	struct control_state sampling;                /* as the client knows it */
	uint64_t account_every_ns, account_ns, go_ns; /* the next of each */
	bool has_figures;
	uint64_t figures[CGOHEAP_GO_FIGURES]; /* at the last gc line */
};

static struct events_stream streams[EVENTS_STREAMS];

static bool wants(const struct events_stream *s, int kind)
{
	return s->kinds & 1u << kind;
}

static bool reads_ring(const struct events_stream *s)
{
	return wants(s, ALLOC) || wants(s, FREE);
}

/* ---- beginning and end ------------------------------------------------------ */

static struct events_stream *stream_new(void)
{
	for (struct events_stream *s = streams; s < streams + EVENTS_STREAMS; s++)
		if (!s->is_used)
			return s;
	return NULL;
}

void events_release(struct events_stream *s)
{
	if (s == NULL || !s->is_used)
		return;
	if (reads_ring(s))
		eventring_close();
	scratch_release(&s->scratch);
	s->is_used = false;
}

void events_forget_all(void)
{
	memset(streams, 0, sizeof(streams));
}

/* ---- which stacks the client has -------------------------------------------- */

/* Adds it. False: it was there. */
static bool seen_add(struct events_stream *s, uint64_t stack)
{
	uint64_t key = stack ? stack : 1;

	if (s->seen_count >= SEEN_MOST) {
		memset(s->seen, 0, SEEN_SLOTS * sizeof(*s->seen));
		s->seen_count = 0;
	}
	uint32_t at = (uint32_t)(hash_spread(key) >> 32) % SEEN_SLOTS;
	for (; s->seen[at]; at = (at + 1) % SEEN_SLOTS)
		if (s->seen[at] == key)
			return false;
	s->seen[at] = key;
	s->seen_count++;
	return true;
}

static bool is_there(const struct event *e)
{
	return site_at(e->site)->born == e->born;
}

/* ---- one batch --------------------------------------------------------------- */

struct batch {
	struct scratch scratch;
	struct event *events;
	struct tally *fresh; /* sites of stacks that the client does not have */
	size_t count, fresh_count;
	uint64_t lost;
	struct events_lines *lines;
};

static bool wants_event(const struct events_stream *s, const struct event *e)
{
	return wants(s, e->kind == EVENT_FREE ? FREE : ALLOC);
}

/* If the batch is full, there may be more. */
static void take_events(struct events_stream *s, struct batch *b)
{
	struct event e;

	while (reads_ring(s) && b->count < BATCH_EVENTS && s->ring.next < s->last &&
	       eventring_take(&s->ring, &e))
		if (wants_event(s, &e))
			b->events[b->count++] = e;
	b->lost = s->ring.lost;
	s->ring.lost = 0;
}

/* Names are read for all new stacks of the batch together. */
static void write_stacks(struct events_stream *s, struct batch *b)
{
	struct profile_options options = {.symbols = true};
	struct profile_job *job = scratch_alloc(&b->scratch, sizeof(*job));

	for (size_t i = 0; i < b->count; i++) {
		const struct event *e = &b->events[i];
		if (!seen_add(s, e->stack))
			continue;
		if (!is_there(e))
			events_lines_unknown_stack(b->lines, e->stack);
		else /* not zero, so that its addresses are read */
			b->fresh[b->fresh_count++] =
				(struct tally){.site = e->site, .alloc_objects = 1};
	}
	if (b->fresh_count == 0 || job == NULL)
		return;
	struct snapshot snapshot = {.tallies = b->fresh, .count = b->fresh_count};
	profile_job_prepare(job, &b->scratch, &snapshot, &options);
	for (size_t i = 0; i < b->fresh_count; i++) {
		const struct stack *stack = stack_at(site_at(b->fresh[i].site)->stack);
		events_lines_stack(b->lines, job, stack, stack->hash);
	}
	profile_job_end(job);
}

static void write_begin(struct events_stream *s, struct events_lines *l)
{
	s->is_begun = true;
	events_lines_begin(l, "start", l->monotonic_ns);
	text_printf(&l->text, ",\"schema\":\"cgoheap.events/1\",\"pid\":%d,\"version\":\"%s\"",
		    sys_getpid(), CGOHEAP_VERSION);
	text_printf(&l->text, ",\"seconds\":%llu,\"kinds\":[", (unsigned long long)s->seconds);
	const char *comma = "";
	for (int k = 0; k < KINDS; k++)
		if (wants(s, k)) {
			text_printf(&l->text, "%s\"%s\"", comma, kind_names[k]);
			comma = ",";
		}
	text_string(&l->text, "]}\n");
}

/* At the start, when it is not known yet, and when it has changed. */
static void write_sampling(struct events_stream *s, struct events_lines *l)
{
	struct control_state now = control_get();

	if (now.on == s->sampling.on && now.sample_bytes == s->sampling.sample_bytes)
		return;
	s->sampling = now;
	events_lines_begin(l, "sampling", l->monotonic_ns);
	text_printf(&l->text, ",\"state\":\"%s\",\"sample_bytes\":%u}\n",
		    now.on ? "sampling" : "dormant", now.sample_bytes);
}

/* ---- what is asked for from time to time -------------------------------------- */

static bool is_new_cycle(const struct events_stream *s, const uint64_t *figures)
{
	return figures[CGOHEAP_GO_LAST_GC] != s->figures[CGOHEAP_GO_LAST_GC] ||
	       figures[CGOHEAP_GO_GC_CYCLES] != s->figures[CGOHEAP_GO_GC_CYCLES];
}

static void look_at_go(struct events_stream *s, struct events_lines *l)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];

	if (!wants(s, GC) || l->monotonic_ns < s->go_ns)
		return;
	bool is_read = bridge_read_figures(figures) == 0;
	s->go_ns = clock_monotonic_ns() + (is_read ? SECOND_NS : GO_REST_NS);
	if (!is_read || (s->has_figures && !is_new_cycle(s, figures)))
		return;
	if (s->has_figures)
		events_lines_gc(l, figures, s->figures);
	s->has_figures = true;
	memcpy(s->figures, figures, sizeof(figures));
}

/* Returns -1 if the sink failed. An account that cannot be taken is left out. */
static int take_account(struct events_stream *s, struct events_lines *l)
{
	struct scratch scratch = SCRATCH_INIT(region_scratch_max_bytes());
	struct account account;
	struct account_parts parts;
	int result = 0;

	if (!wants(s, ACCOUNT) || l->monotonic_ns < s->account_ns)
		return 0;
	if (account_take(&scratch, &account, &parts) == 0)
		result = events_lines_account(l, &scratch, &account, &parts);
	scratch_release(&scratch);
	s->account_ns = clock_monotonic_ns() + s->account_every_ns;
	return result;
}

/* ---- the answer --------------------------------------------------------------- */

/* 0, or -1 without memory: then nothing of it was written for the client. */
static int write_batch(struct answer *a, struct events_stream *s, struct batch *b, bool is_last)
{
	struct events_lines *l = b->lines;

	events_lines_init(l, &a->body.sink);
	if (!s->is_begun)
		write_begin(s, l);
	write_sampling(s, l);
	if (b->lost > 0)
		events_lines_lost(l, b->lost);
	write_stacks(s, b);
	for (size_t i = 0; i < b->count; i++)
		events_lines_event(l, &b->events[i]);
	look_at_go(s, l);
	if (events_lines_flush(l) != 0 || take_account(s, l) != 0)
		return -1;
	if (is_last) {
		events_lines_begin(l, "end", l->monotonic_ns);
		text_printf(&l->text, ",\"reason\":\"%s\"}\n", s->ending);
	}
	return events_lines_flush(l);
}

static int batch_init(struct batch *b)
{
	*b = (struct batch){.scratch = SCRATCH_INIT(region_scratch_max_bytes())};
	b->lines = scratch_alloc(&b->scratch, sizeof(*b->lines));
	b->events = scratch_alloc(&b->scratch, BATCH_EVENTS * sizeof(*b->events));
	b->fresh = scratch_alloc(&b->scratch, BATCH_EVENTS * sizeof(*b->fresh));
	return b->scratch.exhausted ? -1 : 0;
}

/* The client gets nothing of this batch, and with the next all that it does not have. */
static void give_up_batch(struct answer *a, struct events_stream *s, const struct batch *b)
{
	body_release(&a->body);
	s->ring.lost += b->lost + b->count;
	s->sampling = (struct control_state){0};
	memset(s->seen, 0, SEEN_SLOTS * sizeof(*s->seen));
	s->seen_count = 0;
}

/* The last lines in the answer's own buffer: there is no memory for a batch, and a stream
 * without an end would mean that the process has ended. */
static void write_end_alone(struct answer *a, const struct events_stream *s)
{
	uint64_t unread = reads_ring(s) && s->last > s->ring.next ? s->last - s->ring.next : 0;
	int n = events_lines_end_alone(a->line, sizeof(a->line), s->ring.lost + unread, s->ending);

	answer_line(a, 200, a->type, n);
}

/* True: it was the last. */
static bool send_batch(struct answer *a, struct events_stream *s)
{
	struct batch b;
	bool was_begun = s->is_begun, is_last = s->ending != NULL;

	body_release(&a->body);
	if (batch_init(&b) == 0) { /* otherwise the events wait in the ring */
		take_events(s, &b);
		if (b.count == BATCH_EVENTS) {
			is_last = false;
			s->due_ns = 0;
		}
		if (write_batch(a, s, &b, is_last) != 0) {
			give_up_batch(a, s, &b);
			s->is_begun = was_begun;
		}
	}
	scratch_release(&b.scratch);
	if (is_last && a->body.bytes == 0)
		write_end_alone(a, s);
	return is_last;
}

/* The time is over, or the client has asked for the end by ending its sending. */
static void look_whether_over(struct events_stream *s, uint64_t now_ns)
{
	if (s->ending != NULL || (now_ns < s->ends_ns && now_ns >= s->due_ns))
		return;
	s->ending = now_ns >= s->ends_ns ? "seconds" : "asked";
	s->last = reads_ring(s) ? eventring_head() : 0;
}

static void finish_events(struct answer *a)
{
	struct events_stream *s = a->stream;
	uint64_t now_ns = clock_monotonic_ns();

	seccomp_look();
	look_whether_over(s, now_ns);
	s->due_ns = now_ns + EVENTS_BATCH_NS;
	if (send_batch(a, s))
		return;
	if (s->due_ns == 0)
		s->due_ns = now_ns;
	a->due_ns = s->due_ns < s->ends_ns ? s->due_ns : s->ends_ns;
}

/* ---- the request --------------------------------------------------------------- */

#define KINDS_TEXT "a list of alloc, free, account and gc, with commas between"

static int kind_of(const char *name, size_t n)
{
	for (int k = 0; k < KINDS; k++)
		if (strlen(kind_names[k]) == n && memcmp(kind_names[k], name, n) == 0)
			return k;
	return -1;
}

/* -1: refused. */
static int read_kinds(struct answer *a, const struct http_request *r, struct events_stream *s)
{
	const char *value = params_value(r, "kinds"), *at = value;

	if (value == NULL) {
		s->kinds = 1u << ALLOC | 1u << FREE | (bridge_is_attached() ? 1u << GC : 0) |
			   (s->account_every_ns ? 1u << ACCOUNT : 0);
		return 0;
	}
	for (;;) {
		size_t n = strcspn(at, ",");
		int kind = kind_of(at, n);
		if (kind < 0)
			return params_refuse(a, "kinds", value, KINDS_TEXT);
		s->kinds |= 1u << kind;
		if (at[n] == '\0')
			break;
		at += n + 1;
	}
	if (!wants(s, GC) || bridge_is_attached())
		return 0;
	answer_refuse(a, 404,
		      "no events of kind gc: import the Go package cgo_bridge in the service, or "
		      "leave gc out of kinds");
	return -1;
}

static int read_account_every(struct answer *a, const struct http_request *r,
			      struct events_stream *s)
{
	if (params_duration(a, r, "account", &s->account_every_ns))
		return -1;
	if (s->account_every_ns == 0 || s->account_every_ns >= SECOND_NS)
		return 0;
	return params_refuse(a, "account", params_value(r, "account"), "a time of 1s or more");
}

static int read_request(struct answer *a, const struct http_request *r, struct events_stream *s)
{
	s->seconds = EVENTS_MAX_SECONDS;
	if (params_number(a, r, "seconds", 1, EVENTS_MAX_SECONDS, "whole seconds from 1 to 86400",
			  &s->seconds) ||
	    read_account_every(a, r, s) || read_kinds(a, r, s))
		return -1;
	if (s->account_every_ns == 0)
		s->account_every_ns = ACCOUNT_EVERY_NS;
	else if (!wants(s, ACCOUNT)) {
		answer_refuse(a, 400, "account= is given, but account is not among kinds");
		return -1;
	}
	return 0;
}

/* -1: no memory. */
static int stream_open(struct events_stream *s)
{
	s->scratch = SCRATCH_INIT(region_scratch_max_bytes());
	s->seen = scratch_alloc(&s->scratch, SEEN_SLOTS * sizeof(*s->seen));
	if (s->seen != NULL && (!reads_ring(s) || eventring_open(&s->ring) == 0)) {
		s->is_used = true;
		return 0;
	}
	scratch_release(&s->scratch);
	return -1;
}

void answer_events(struct answer *a, const struct http_request *r)
{
	struct events_stream wanted = {0}, *s = stream_new();

	if (read_request(a, r, &wanted))
		return;
	if (s == NULL) {
		answer_refuse_busy(a, "2 clients read events already: retry when one has ended");
		return;
	}
	*s = wanted;
	a->status = 200;
	a->type = "application/x-ndjson";
	a->is_endless = true;
	if (a->head_only)
		return;
	if (stream_open(s) != 0) {
		answer_refuse_no_memory(a);
		return;
	}
	a->stream = s;
	a->finish = finish_events;
	a->may_be_early = true;
	s->due_ns = clock_monotonic_ns();
	s->ends_ns = s->due_ns + s->seconds * SECOND_NS;
	s->last = UINT64_MAX;
	finish_events(a);
	if (!s->is_begun)
		answer_refuse_no_memory(a);
}
