/*
 * The routes and their answers.
 *
 * A route checks everything about a request before it does anything. Its answer is built whole,
 * on the server's thread, which may take milliseconds. An answer that needs time to pass
 * (seconds=) or other work to finish (trim) says when it is due and is finished then, or says so
 * again.
 */
#ifndef CGOHEAP_HANDLERS_H
#define CGOHEAP_HANDLERS_H

#include "base/base.h"
#include "text/body.h"
#include "text/http.h"
#include "record/stacks.h"
#include "profile/baseline.h"
#include "profile/profile.h"

#define HANDLERS_MAX_SECONDS 3600

struct answer {
	int status;
	const char *type, *allow, *filename; /* as in struct http_response */
	const char *missing;                 /* why the answer is incomplete: time ran out */
	bool head_only;                      /* the request was a HEAD */
	bool busy;                           /* refused for now: retry in a second */
	const char *text;                    /* short or constant, written before `body` */
	size_t text_bytes;
	char line[512]; /* buffer for text: errors, small JSON */
	struct body body;

	uint64_t due_ns; /* CLOCK_MONOTONIC; not 0: call handlers_finish then */
	/* for state kept until then */
	void (*finish)(struct answer *a);
	bool may_be_early; /* can also be answered before due_ns */
	struct baseline *baseline;
	struct profile_options options;
	bool with_go; /* includes Go's heap */
	struct {
		uint64_t ends_ns, pause_ns; /* when to give up; time until the next look */
		uint64_t rss_bytes;         /* before */
	} trim;
};

#define HANDLERS_TRIMS 1 /* that may wait at the same time */

/* Makes it empty; it must not move after this. */
void handlers_init(struct answer *answer);
/* Answers the request, or sets answer->due_ns. */
void handlers_begin(struct answer *answer, const struct http_request *request);
/* Answers, or sets due_ns again. Before due_ns, if that is allowed, answers with what is there. */
void handlers_finish(struct answer *answer);
/* Answers with an error: one line of plain text, newline added. */
void handlers_refuse(struct answer *answer, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* 503: the client may retry soon. */
void handlers_refuse_busy(struct answer *answer, const char *line);
/* The same if scratch is exhausted. Releases what the answer holds. */
void handlers_refuse_no_memory(struct answer *answer);
/* Frees all memory and resets to the state after handlers_init; safe to call twice. */
void handlers_release(struct answer *answer);

#endif
