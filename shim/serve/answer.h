/*
 * An answer: status, type, body, and what it waits for.
 *
 * It is built whole, on the server's thread, which may take milliseconds. An answer that needs
 * time to pass (seconds=) or other work to finish (trim) says when it is due and is finished
 * then, or says so again.
 */
#ifndef CGOHEAP_ANSWER_H
#define CGOHEAP_ANSWER_H

#include "base/base.h"
#include "text/body.h"
#include "profile/baseline.h"
#include "profile/profile.h"

#define ANSWER_TEXT_PLAIN "text/plain; charset=utf-8"

struct events_stream;
struct answer {
	int status;
	const char *type, *allow, *filename; /* as in struct http_response */
	const char *missing;                 /* why the answer is incomplete: time ran out */
	bool head_only;                      /* the request was a HEAD */
	bool is_endless;                     /* without a length, for a HEAD too */
	bool busy;                           /* refused for now: retry in a second */
	const char *text;                    /* short or constant, written before `body` */
	size_t text_bytes;
	char line[512]; /* buffer for text: errors, small JSON */
	struct body body;

	uint64_t due_ns; /* CLOCK_MONOTONIC; not 0: finish it then */
	/* for state kept until then */
	void (*finish)(struct answer *a);
	bool may_be_early; /* can also be answered before due_ns */
	struct baseline *baseline;
	struct profile_options options;
	bool with_go;                  /* includes Go's heap */
	bool with_ages;                /* each sample's, see cohorts.h */
	bool peak_of_rss, peak_resets; /* view_peak.h */
	/* Not NULL: an endless answer. finish writes the next part of it. events.h */
	struct events_stream *stream;
	struct {
		uint64_t ends_ns, pause_ns; /* when to give up; time until the next look */
		uint64_t rss_bytes;         /* before */
	} trim;
};

/* Makes it empty; it must not move after this. */
void answer_init(struct answer *answer);
/* The body is the text that snprintf put into answer->line; count is its result. */
void answer_line(struct answer *answer, int status, const char *type, int count);
/* Answers with an error: one line of plain text, newline added. */
void answer_refuse(struct answer *answer, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* 503: the client may retry soon. */
void answer_refuse_busy(struct answer *answer, const char *line);
/* The same if scratch is exhausted. Releases what the answer holds. */
void answer_refuse_no_memory(struct answer *answer);
/* Frees all memory and resets to the state after answer_init; safe to call twice. */
void answer_release(struct answer *answer);

#endif
