/* See answer.h. */
#include "serve/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "serve/events.h"

void answer_init(struct answer *a)
{
	*a = (struct answer){0};
	body_init(&a->body);
}

void answer_release(struct answer *a)
{
	body_release(&a->body);
	baseline_release(a->baseline);
	events_release(a->stream);
	answer_init(a);
}

void answer_line(struct answer *a, int status, const char *type, int count)
{
	a->status = status;
	a->type = type;
	a->text = a->line;
	a->text_bytes = count < (int)sizeof(a->line) ? (size_t)count : sizeof(a->line) - 1;
}

void answer_refuse(struct answer *a, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(a->line, sizeof(a->line) - 1, format, args);
	va_end(args);
	if (n > (int)sizeof(a->line) - 2)
		n = (int)sizeof(a->line) - 2;
	a->line[n++] = '\n';
	a->filename = NULL;
	a->is_endless = false;
	body_release(&a->body); /* part of an answer, if any */
	answer_line(a, status, ANSWER_TEXT_PLAIN, n);
}

void answer_refuse_busy(struct answer *a, const char *line)
{
	answer_refuse(a, 503, "%s", line);
	a->busy = true;
}

void answer_refuse_no_memory(struct answer *a)
{
	bool head_only = a->head_only;
	answer_release(a);
	a->head_only = head_only;
	answer_refuse_busy(a,
			   "out of cgoheap's own memory: raise CGOHEAP_MAX_MEMORY, or retry when "
			   "fewer requests are in progress");
}
