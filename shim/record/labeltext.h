/*
 * Formats goroutine labels for people and profile readers.
 */
#ifndef CGOHEAP_LABELTEXT_H
#define CGOHEAP_LABELTEXT_H

#include "base/base.h"
#include "unwind/golabels.h"

/*
 * Writes a label's text for people and profile readers into out, NUL-terminated. Invalid UTF-8
 * and characters that control a terminal become \xff, \n, \u202e and so on; a text that was cut
 * ends in "...". quoted: also escapes " and \, as Go's %q does (without the surrounding quotes).
 */
#define LABELTEXT_BYTES (4 * GOLABELS_BYTES + 8)
void labeltext_escape(const struct golabel_text *text, bool quoted, char out[LABELTEXT_BYTES]);

#endif
