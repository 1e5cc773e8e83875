/*
 * Interned sets of goroutine labels.
 *
 * A set is stored once, in a cell of the region's arena, for as long as a stack refers to it. A
 * caller that interns a set holds a pin (pins.h) until a stack refers to it. The number of sets
 * and their bytes are bounded, because a service that labels goroutines with a request ID makes
 * one set per request.
 *
 * Texts are stored as the program has them, in any encoding. Use labeltext_escape to print them.
 *
 * Ids are arena offsets / 8 (0 = no labels).
 */
#ifndef CGOHEAP_LABELSETS_H
#define CGOHEAP_LABELSETS_H

#include "base/base.h"
#include "region/region.h"
#include "unwind/golabels.h"

#define LABELSETS_MAX 4096
/* Share of the arena that all sets together may use. */
#define LABELSETS_ARENA_SHARE 8

/* Read by cli/internal/recorder. A change of layout requires a new REGION_VERSION. */
#define LABELSET_TEXT_CUT 0x80u

enum {
	LABELSET_PART = 1,  /* some labels were left out */
	LABELSET_MARKED = 2 /* used by the server: a stack refers to it */
};

struct labelset {
	uint64_t hash;  /* FNV-1a of what follows `count` in the record */
	uint32_t next;  /* id of the next set in its bucket */
	uint16_t bytes; /* of texts */
	uint8_t count;  /* labels, ascending by key */
	uint8_t flags;
	/* For each label: the length of its key and of its value, one byte each, with
	 * LABELSET_TEXT_CUT set if the text was cut; then the key, then the value. */
	uint8_t texts[];
};

/*
 * Returns the set's id and stores the set if it is new. Returns 0 and counts it if there is no
 * room. Lock-free, async-signal-safe.
 */
uint32_t labelsets_intern(const struct golabels *labels);

/* The same, for labels from capture_init. NULL: labels exist but cannot be read; this is
 * counted. */
uint32_t labelsets_keep(const struct golabels *labels);

/* Puts the set's labels into *out; the texts point into the region. No labels if id is invalid. */
void labelsets_get(uint32_t id, struct golabels *out);

struct labelsets_counters {
	uint32_t sets, labels; /* existing sets; labels of all sets */
	uint32_t part;         /* sets stored without some of their labels */
	uint64_t dropped;      /* samples recorded without their labels */
};
struct labelsets_counters labelsets_counters(void);
void labelsets_count_dropped(void);

/*
 * Reclaims sets that no stack refers to (stacks_reclaim.c; the server's thread only). Unmarked
 * sets are taken out of the table. Once no earlier lookup is still in use, they are freed, or
 * put back if a stack refers to them again.
 */
void labelsets_unmark(void);
void labelsets_mark(uint32_t id);
void labelsets_take_out(void);
void labelsets_settle(void);
uint32_t labelsets_permille(void); /* used share of their room */
void labelsets_follow_in_child(void);

#endif
