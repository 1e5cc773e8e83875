/*
 * Interned sets of goroutine labels.
 *
 * A set is stored once, in a cell of the region's arena, as long as a stack has it:
 * who interns one holds a pin (pins.h) until a stack does.  Their number and their
 * bytes are bounded: a service that puts a request's id into a label makes a set a
 * request.
 *
 * Texts are kept as the program has them, in whatever encoding.  Whoever writes
 * them for others does so by labelsets_escape.
 *
 * Ids are arena offsets / 8 (0 = no labels).
 */
#ifndef CGOHEAP_LABELSETS_H
#define CGOHEAP_LABELSETS_H

#include "base/base.h"
#include "region/region.h"
#include "unwind/golabels.h"

#define LABELSETS_MAX 4096
/* Of the arena, all sets together. */
#define LABELSETS_ARENA_SHARE 8

/* Read by cli/internal/recorder.  A change of layout is a new REGION_VERSION. */
#define LABELSET_TEXT_CUT 0x80u

enum {
	LABELSET_PART = 1,  /* there were more */
	LABELSET_MARKED = 2 /* the server's: a stack has it */
};

struct labelset {
	uint64_t hash;  /* FNV-1a of what follows `count` in the record */
	uint32_t next;  /* id of the next set in its bucket */
	uint16_t bytes; /* of texts */
	uint8_t count;  /* labels, ascending by key */
	uint8_t flags;
	/* For each label: the bytes of its key and of its value, each a byte that has
	 * LABELSET_TEXT_CUT set where the text was longer; then the key; then the value. */
	uint8_t texts[];
};

/*
 * The id of this set, stored if need be; 0 when there is no room for it, which is
 * counted.  Lock-free, async-signal-safe.
 */
uint32_t labelsets_intern(const struct golabels *labels);

/* The same; NULL: there are labels, but they cannot be read, which is counted (capture_init). */
uint32_t labelsets_keep(const struct golabels *labels);

/* The set's labels into *out, whose texts point into the region; none where id is none. */
void labelsets_get(uint32_t id, struct golabels *out);

struct labelsets_counters {
	uint32_t sets, labels; /* there are; labels of all sets together */
	uint32_t part;         /* sets that are not whole */
	uint64_t dropped;      /* samples recorded without the labels they had */
};
struct labelsets_counters labelsets_counters(void);
void labelsets_count_dropped(void);

/*
 * Sets that no stack has any more (stacks_reclaim.c; the server's thread only): those
 * not marked are taken out, and free, or back, once nothing that was looked up
 * before is in use any more.
 */
void labelsets_unmark(void);
void labelsets_mark(uint32_t id);
void labelsets_take_out(void);
void labelsets_settle(void);
uint32_t labelsets_permille(void); /* how much of their room they have */
void labelsets_follow_in_child(void);

/*
 * A label's text for people and for readers of profiles, into out, NUL-terminated:
 * what is no UTF-8 and what a terminal would obey becomes \xff, \n, \u202e and the
 * like; a text that was cut ends in "...".  quoted: " and \ are escaped too, as in
 * Go's %q (without the quotes around).
 */
#define LABELSETS_TEXT_BYTES (4 * GOLABELS_BYTES + 8)
void labelsets_escape(const struct golabel_text *text, bool quoted, char out[LABELSETS_TEXT_BYTES]);

#endif
