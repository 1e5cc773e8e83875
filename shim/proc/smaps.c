/*
 * A record is a line as in maps, then lines "Name:   N kB" up to the next line that begins
 * with a range.  Only the figures that are used are parsed: with two dozen lines a mapping,
 * a process with many small mappings spends its time on the text, not on the page walk.
 */
#include "proc/smaps.h"

#include <string.h>
#include <sys/sysmacros.h>

#define HEADER_BYTES (8 * KIB) /* a path is at most PATH_MAX, plus escapes */

int smaps_open_path(struct smaps *s, struct scratch *scratch, const char *path)
{
	*s = (struct smaps){.lines = {.fd = -1}};
	s->header = scratch_alloc(scratch, HEADER_BYTES);
	s->next_header = scratch_alloc(scratch, HEADER_BYTES);
	return s->header && s->next_header ? procfile_open(&s->lines, scratch, path) : -1;
}

int smaps_open(struct smaps *s, struct scratch *scratch)
{
	return smaps_open_path(s, scratch, "/proc/self/smaps");
}

void smaps_close(struct smaps *s)
{
	procfile_close(&s->lines);
}

/* "start-end rwxp offset major:minor inode      path" */
static int parse_header(const char *text, struct smaps_mapping *m)
{
	uint64_t major, minor;
	*m = (struct smaps_mapping){0};
	if (!procfile_number(&text, 16, &m->start) || !procfile_skip(&text, '-') ||
	    !procfile_number(&text, 16, &m->end) || !procfile_skip(&text, ' ') ||
	    strlen(text) < 5 || m->end <= m->start)
		return -1;
	m->readable = text[0] == 'r';
	m->writable = text[1] == 'w';
	m->executable = text[2] == 'x';
	m->shared = text[3] == 's';
	text += 5;
	if (!procfile_number(&text, 16, &m->offset) || !procfile_skip(&text, ' ') ||
	    !procfile_number(&text, 16, &major) || !procfile_skip(&text, ':') ||
	    !procfile_number(&text, 16, &minor) || !procfile_skip(&text, ' ') ||
	    !procfile_number(&text, 10, &m->inode))
		return -1;
	m->device = makedev((unsigned)major, (unsigned)minor);
	while (procfile_skip(&text, ' '))
		;
	m->path = text;
	return 0;
}

/* Names of figures begin with a capital; addresses use lower-case digits. */
static bool is_header(const char *line)
{
	return (*line >= '0' && *line <= '9') || (*line >= 'a' && *line <= 'f');
}

static void take_figure(const char *line, struct smaps_mapping *m)
{
	static const struct {
		const char *name;
		size_t bytes, field;
	} figures[] = {
#define FIGURE(text, member) {text, sizeof(text) - 1, offsetof(struct smaps_mapping, member)}
		FIGURE("Rss:", resident),        FIGURE("AnonHugePages:", huge),
		FIGURE("Anonymous:", anonymous), FIGURE("LazyFree:", lazy_free),
		FIGURE("Swap:", swapped),
#undef FIGURE
	};
	if (*line != 'R' && *line != 'A' && *line != 'L' && *line != 'S')
		return;
	for (size_t i = 0; i < COUNT_OF(figures); i++)
		if (strncmp(line, figures[i].name, figures[i].bytes) == 0)
			procfile_kib(line + figures[i].bytes,
				     (uint64_t *)((char *)m + figures[i].field));
}

/* False: longer than any line the kernel writes. */
static bool keep_header(struct smaps *s, const char *line)
{
	size_t n = strlen(line);
	s->has_next = n < HEADER_BYTES;
	if (s->has_next)
		memcpy(s->next_header, line, n + 1);
	return s->has_next;
}

/* Cuts off the part that an earlier mapping covered: its pages are counted already. */
static bool clip(struct smaps_mapping *m, uint64_t seen_to)
{
	if (m->end <= seen_to)
		return false;
	if (m->start >= seen_to)
		return true;
	uint64_t bytes = m->end - seen_to;
	m->start = seen_to;
	m->resident = m->resident < bytes ? m->resident : bytes;
	m->anonymous = m->anonymous < bytes ? m->anonymous : bytes;
	m->huge = m->huge < bytes ? m->huge : bytes;
	m->lazy_free = m->lazy_free < bytes ? m->lazy_free : bytes;
	m->swapped = m->swapped < bytes ? m->swapped : bytes;
	return true;
}

/* Reads figures up to the next header, which is kept for the next record. */
static void take_figures(struct smaps *s, struct smaps_mapping *m)
{
	char *line;
	while ((line = procfile_next(&s->lines)) != NULL) {
		if (!is_header(line))
			take_figure(line, m);
		else if (keep_header(s, line))
			return;
	}
}

static bool next_record(struct smaps *s, struct smaps_mapping *m)
{
	struct smaps_mapping none;
	do {
		char *swap = s->header;
		if (!s->has_next)
			take_figures(s, &none); /* skips to the first header */
		if (!s->has_next)
			return false;
		s->header = s->next_header;
		s->next_header = swap;
		s->has_next = false;
	} while (parse_header(s->header, m));
	take_figures(s, m);
	return true;
}

bool smaps_next(struct smaps *s, struct smaps_mapping *out)
{
	while (next_record(s, out))
		if (clip(out, s->seen_to)) {
			s->seen_to = out->end;
			return true;
		}
	return false;
}
