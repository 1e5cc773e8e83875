/*
 * The goroutine labels of a sample, as written in a profile. Private to profile*.c.
 */
#ifndef CGOHEAP_PROFILE_LABELS_H
#define CGOHEAP_PROFILE_LABELS_H

#include "unwind/golabels.h"
#include "profile/pprof_stream.h"
#include "profile.pb-c.h"
#include "text/text.h"

#define PROFILE_OWN_LABELS 5 /* origin, bytes, age, freed_by, allocated_by */

struct profile_labels {
	size_t count;
	Pprof__Label *pointers[GOLABELS_MAX + PROFILE_OWN_LABELS];
	Pprof__Label list[GOLABELS_MAX + PROFILE_OWN_LABELS];
};

/* Adds an empty label for the caller to fill. */
Pprof__Label *profile_labels_add(struct profile_labels *labels);

/*
 * Adds the labels of a set (labelsets.h). A key that has a meaning in the profile ("origin",
 * "bytes", "age") becomes "label.origin".
 */
void profile_labels_add_set(struct profile_labels *labels, struct pprof_stream *stream,
			    uint32_t set);

/* The maximum number of strings that all existing sets need. */
uint32_t profile_labels_strings(void);

/* Writes them as Go does: "# labels: {"key":"value", ...}" and a newline; nothing if there
 * are none. */
void profile_labels_text(struct text *t, uint32_t set);

#endif
