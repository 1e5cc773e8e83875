/* See profile_labels.h. */
#include "profile/profile_labels.h"

#include <string.h>

#include "record/labelsets.h"
#include "record/labeltext.h"

static const char own_prefix[] = "label.";

Pprof__Label *profile_labels_add(struct profile_labels *labels)
{
	Pprof__Label *label = &labels->list[labels->count];

	pprof__label__init(label);
	labels->pointers[labels->count++] = label;
	return label;
}

static bool is_own(const char *key)
{
	static const char *const keys[] = {"origin", "bytes", "age", "freed_by", "allocated_by"};

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static int64_t key_string(struct pprof_stream *stream, const struct golabel_text *key)
{
	char text[sizeof(own_prefix) + LABELTEXT_BYTES];
	char *plain = text + strlen(own_prefix);

	memcpy(text, own_prefix, strlen(own_prefix));
	labeltext_escape(key, false, plain);
	return pprof_string_copy(stream, is_own(plain) ? text : plain);
}

void profile_labels_add_set(struct profile_labels *labels, struct pprof_stream *stream,
			    uint32_t set)
{
	char text[LABELTEXT_BYTES];
	struct golabels have;

	labelsets_get(set, &have);
	for (uint32_t i = 0; i < have.count; i++) {
		Pprof__Label *label = profile_labels_add(labels);
		label->key = key_string(stream, &have.list[i].key);
		labeltext_escape(&have.list[i].value, false, text);
		label->str = pprof_string_copy(stream, text);
	}
}

uint32_t profile_labels_strings(void)
{
	return 2 * labelsets_counters().labels;
}

static void quoted(struct text *t, const struct golabel_text *label)
{
	char text[LABELTEXT_BYTES];

	labeltext_escape(label, true, text);
	text_string(t, "\"");
	text_string(t, text);
	text_string(t, "\"");
}

void profile_labels_text(struct text *t, uint32_t set)
{
	struct golabels have;

	labelsets_get(set, &have);
	for (uint32_t i = 0; i < have.count; i++) {
		text_string(t, i ? ", " : "# labels: {");
		quoted(t, &have.list[i].key);
		text_string(t, ":");
		quoted(t, &have.list[i].value);
	}
	text_string(t, have.count ? "}\n" : "");
}
