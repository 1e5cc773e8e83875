/* See profile_ages.h. */
#include "profile/profile_ages.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TENTH_NS UINT64_C(100000000)

/* Without the units that are 0: "1h5m", "2.3s", "0s". Returns the bytes written. */
static size_t write_duration(char *out, size_t bytes, uint64_t ns)
{
	uint64_t tenths = (ns + TENTH_NS / 2) / TENTH_NS, seconds = tenths / 10;
	size_t n = 0;

	out[0] = '\0';
	if (seconds / 3600)
		n += (size_t)snprintf(out + n, bytes - n, "%" PRIu64 "h", seconds / 3600);
	if (seconds / 60 % 60)
		n += (size_t)snprintf(out + n, bytes - n, "%" PRIu64 "m", seconds / 60 % 60);
	if (tenths % 10)
		n += (size_t)snprintf(out + n, bytes - n, "%" PRIu64 ".%" PRIu64 "s", seconds % 60,
				      tenths % 10);
	else if (seconds % 60 || !n)
		n += (size_t)snprintf(out + n, bytes - n, "%" PRIu64 "s", seconds % 60);
	return n;
}

/* Two durations have at most 25 digits and units each. */
#define LABEL_BYTES 64

/* The older bound: a youngest cohort of a few milliseconds is shown as a tenth of a second. */
static size_t write_bound(char *out, size_t bytes, uint64_t ns)
{
	return write_duration(out, bytes, ns > TENTH_NS ? ns : TENTH_NS);
}

static const char *make_label(struct scratch *scratch, const struct cohort *c)
{
	char text[LABEL_BYTES];
	size_t n = c->from_ns ? write_bound(text, sizeof(text), c->from_ns)
			      : write_duration(text, sizeof(text), 0);

	text[n++] = '-';
	n += write_bound(text + n, sizeof(text) - n, c->to_ns);
	return scratch_strdup(scratch, text, n);
}

#define OFF_NS UINT64_C(1000000000) /* what is worth a comment, as in the status */

static const char *make_comment(struct scratch *scratch, const struct cohort *c, const char *label)
{
	char text[128], off[LABEL_BYTES];

	if (c->off_ns < OFF_NS)
		return "";
	write_duration(off, sizeof(off), c->off_ns);
	int n = snprintf(text, sizeof(text), "age %s: sampling was off for %s of it", label, off);
	return scratch_strdup(scratch, text, (size_t)n);
}

/* The bounds alone, because each interval begins where the one before it ends. */
static const char *make_bounds(struct scratch *scratch, const struct cohorts *cohorts)
{
	size_t bytes = 64 + cohorts->count * LABEL_BYTES / 2, n;
	char *text = scratch_alloc(scratch, bytes);

	if (!text)
		return NULL;
	n = (size_t)snprintf(text, bytes, "ages: 0s");
	for (uint32_t i = 0; i < cohorts->count; i++) {
		text[n++] = ' ';
		n += write_bound(text + n, bytes - n, cohorts->list[i].to_ns);
	}
	snprintf(text + n, bytes - n, "; the last is when the library started");
	return text;
}

int profile_ages_make(struct scratch *scratch, const struct cohorts *cohorts,
		      struct profile_ages *out)
{
	size_t count = cohorts->count + 2, n = 0;
	const char **labels = scratch_alloc(scratch, count * sizeof(*labels));
	const char **comments = scratch_alloc(scratch, (count + 1) * sizeof(*comments));

	if (!labels || !comments || !(comments[n++] = make_bounds(scratch, cohorts)))
		return -1;
	labels[0] = "";
	labels[count - 1] = PROFILE_AGE_OLDER;
	for (uint32_t i = 0; i < cohorts->count; i++) {
		const struct cohort *c = &cohorts->list[i];
		labels[i + 1] = make_label(scratch, c);
		if (!labels[i + 1] || !(comments[n] = make_comment(scratch, c, labels[i + 1])))
			return -1;
		n += *comments[n] != '\0';
	}
	comments[n] = NULL;
	*out = (struct profile_ages){labels, count, comments};
	return 0;
}
