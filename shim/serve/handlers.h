/*
 * What there is to ask for, and the answer to it.
 *
 * A route checks everything about a request before it does anything.  Its
 * answer is built whole, on the server's thread; building may take milliseconds.
 * An answer that needs time to pass (seconds=), or others to be done (trim), says
 * when it is due and is finished then; or it says so again.
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
	const char *missing;                 /* there was no time for all of it */
	bool head_only;                      /* the request was a HEAD */
	bool busy;                           /* refused for now: ask again in a second */
	const char *text;                    /* a short or constant body, before `body` */
	size_t text_bytes;
	char line[512]; /* where text is built: errors, small JSON */
	struct body body;

	uint64_t due_ns; /* CLOCK_MONOTONIC; not 0: handlers_finish is to be called then */
	/* what is kept until then */
	void (*finish)(struct answer *a);
	bool may_be_early; /* before due_ns there is an answer too */
	struct baseline *baseline;
	struct profile_options options;
	bool with_go; /* Go's heap, too */
	struct {
		uint64_t ends_ns, pause_ns; /* when it is given up; until the next look */
		uint64_t rss_bytes;         /* before */
	} trim;
};

#define HANDLERS_TRIMS 1 /* that wait at a time */

/* Empty; must not move after this. */
void handlers_init(struct answer *answer);
/* Answers the request, or sets answer->due_ns. */
void handlers_begin(struct answer *answer, const struct http_request *request);
/* Answers, or sets due_ns again.  Before due_ns, where that may be, with what there is by now. */
void handlers_finish(struct answer *answer);
/* Answers with an error: one line of plain text, newline added. */
void handlers_refuse(struct answer *answer, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* 503, and may be asked again soon. */
void handlers_refuse_busy(struct answer *answer, const char *line);
/* The same where scratch is exhausted.  Gives back what the answer holds. */
void handlers_refuse_no_memory(struct answer *answer);
/* Gives all memory back; as after handlers_init; safe twice. */
void handlers_release(struct answer *answer);

#endif
