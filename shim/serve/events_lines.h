/*
 * The lines of /v1/events, each a JSON object with its newline. Private to events*.c.
 */
#ifndef CGOHEAP_EVENTS_LINES_H
#define CGOHEAP_EVENTS_LINES_H

#include "account/account.h"
#include "go/bridge.h"
#include "profile/profile_job.h"
#include "record/eventring.h"
#include "text/json.h"

/* One batch's writer. */
struct events_lines {
	struct text text;
	uint64_t monotonic_ns, realtime_ns; /* the same moment */
};

void events_lines_init(struct events_lines *lines, struct sink *sink);
int events_lines_flush(struct events_lines *lines); /* 0, or -1 if any write failed */

/* `{"kind":"NAME","wall":"...","mono_ns":N`, for the caller to go on and to end by "}\n". */
void events_lines_begin(struct events_lines *lines, const char *kind, uint64_t monotonic_ns);

void events_lines_event(struct events_lines *lines, const struct event *event);
/* The frames of the stack, without an address that has a name. */
void events_lines_stack(struct events_lines *lines, const struct profile_job *job,
			const struct stack *stack, uint64_t id);
/* A stack whose frames were given up before its event was read. */
void events_lines_unknown_stack(struct events_lines *lines, uint64_t id);
void events_lines_lost(struct events_lines *lines, uint64_t count);
/* before: the figures of the last gc line, or of the stream's start. */
void events_lines_gc(struct events_lines *lines, const uint64_t figures[CGOHEAP_GO_FIGURES],
		     const uint64_t before[CGOHEAP_GO_FIGURES]);
/* Through the sink: flush first. -1: the sink failed. */
int events_lines_account(struct events_lines *lines, struct scratch *scratch,
			 const struct account *account, const struct account_parts *parts);

/* The lines "lost" and "end" without memory: into out, which has bytes. Returns as snprintf. */
int events_lines_end_alone(char *out, size_t bytes, uint64_t lost, const char *reason);

#endif
