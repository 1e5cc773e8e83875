/*
 * The goroutine labels of a sample, as a profile has them.  Private to profile*.c.
 */
#ifndef CGOHEAP_PROFILE_LABELS_H
#define CGOHEAP_PROFILE_LABELS_H

#include "unwind/golabels.h"
#include "profile/pprof_stream.h"
#include "profile.pb-c.h"
#include "text/text.h"

#define PROFILE_OWN_LABELS 2 /* origin, bytes */

struct profile_labels {
	size_t count;
	Pprof__Label *pointers[GOLABELS_MAX + PROFILE_OWN_LABELS];
	Pprof__Label list[GOLABELS_MAX + PROFILE_OWN_LABELS];
};

/* One more label, empty, which the caller fills. */
Pprof__Label *profile_labels_add(struct profile_labels *labels);

/*
 * Adds those of a set (labelsets.h).  A key that the profile has a meaning for of
 * its own ("origin", "bytes") becomes "label.origin".
 */
void profile_labels_add_set(struct profile_labels *labels, struct pprof_stream *stream,
			    uint32_t set);

/* How many strings all the sets there are may need. */
uint32_t profile_labels_strings(void);

/* As Go writes them: "# labels: {"key":"value", ...}" and a newline; nothing where there are none.
 */
void profile_labels_text(struct text *t, uint32_t set);

#endif
