/*
 * See labelsets.h. The table of buckets is in process memory, so fork copies it like the region.
 * The sets are in the region, for readers after the process.
 */
#include "record/labelsets.h"

#include <assert.h>
#include <string.h>

#include "region/cells.h"

static_assert(sizeof(struct labelset) == 16, "region layout");
static_assert(GOLABELS_BYTES < LABELSET_TEXT_CUT, "a count and a mark in one byte");
static_assert(GOLABELS_MAX * (2 + 2 * GOLABELS_BYTES) <= UINT16_MAX, "labelset.bytes");

#define BUCKETS   4096
#define MAX_CHAIN 256 /* longer than any undamaged chain */

static uint32_t buckets[BUCKETS];
static struct {
	uint32_t sets, labels, part;
	uint64_t bytes; /* of the arena */
	uint64_t dropped;
} counters;

/* ---- records ------------------------------------------------------------ */

static uint8_t count_byte(const struct golabel_text *t)
{
	return t->count | (t->is_cut ? LABELSET_TEXT_CUT : 0);
}

static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t count)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < count; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* The set to look for. */
struct key {
	const struct golabels *labels;
	uint64_t hash;
	size_t bytes; /* of the record's texts */
};

static struct key key_of(const struct golabels *labels)
{
	struct key key = {.labels = labels};
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (uint32_t i = 0; i < labels->count; i++) {
		const struct golabel *l = &labels->list[i];
		uint8_t counts[] = {count_byte(&l->key), count_byte(&l->value)};
		h = hash_bytes(h, counts, sizeof(counts));
		h = hash_bytes(h, l->key.bytes, l->key.count);
		h = hash_bytes(h, l->value.bytes, l->value.count);
		key.bytes += sizeof(counts) + l->key.count + l->value.count;
	}
	key.hash = h;
	return key;
}

static bool is_part(const struct golabels *labels)
{
	return labels->total > labels->count;
}

static struct labelset *set_at(uint32_t id)
{
	struct labelset *s = region_at((uint64_t)id * 8);

	if (!cells_is(id, CELL_LABELS, sizeof(*s)) ||
	    !cells_is(id, CELL_LABELS, sizeof(*s) + s->bytes))
		return NULL;
	return s;
}

/* Reads one text; false if it extends beyond the record. */
static bool next_text(const struct labelset *s, size_t *at, uint8_t count, struct golabel_text *out)
{
	out->count = count & (uint8_t)~LABELSET_TEXT_CUT;
	out->is_cut = count & LABELSET_TEXT_CUT;
	out->bytes = (const char *)s->texts + *at;
	*at += out->count;
	return *at <= s->bytes;
}

uint32_t labelsets_keep(const struct golabels *labels)
{
	if (labels)
		return labelsets_intern(labels);
	labelsets_count_dropped();
	return 0;
}

void labelsets_get(uint32_t id, struct golabels *out)
{
	const struct labelset *s = id ? set_at(id) : NULL;
	size_t at = 0;

	out->count = out->total = 0;
	if (!s || s->count > GOLABELS_MAX)
		return;
	while (out->count < s->count) {
		struct golabel *l = &out->list[out->count];
		uint8_t key, value;
		if (at + 2 > s->bytes)
			break;
		key = s->texts[at++];
		value = s->texts[at++];
		if (!next_text(s, &at, key, &l->key) || !next_text(s, &at, value, &l->value))
			break;
		out->count++;
	}
	out->total = out->count + (LOAD(&s->flags) & LABELSET_PART);
}

/* Whether the text at *at equals t; advances *at past it. */
static bool text_is(const uint8_t **at, const struct golabel_text *t)
{
	const uint8_t *bytes = *at;

	*at += t->count;
	return memcmp(bytes, t->bytes, t->count) == 0;
}

/* Compares the counts first, so that no text is read beyond its record. */
static bool set_is(uint32_t id, const struct key *key)
{
	const struct labelset *s = set_at(id);
	const uint8_t *at = s ? s->texts : NULL;

	if (!s || s->hash != key->hash || s->bytes != key->bytes ||
	    s->count != key->labels->count ||
	    (LOAD(&s->flags) & LABELSET_PART) != is_part(key->labels))
		return false;
	for (uint32_t i = 0; i < key->labels->count; i++) {
		const struct golabel *l = &key->labels->list[i];
		uint8_t key_count = *at++, value_count = *at++;
		if (key_count != count_byte(&l->key) || value_count != count_byte(&l->value) ||
		    !text_is(&at, &l->key) || !text_is(&at, &l->value))
			return false;
	}
	return true;
}

/* ---- interning ---------------------------------------------------------- */

static uint32_t find(uint32_t id, uint32_t until, const struct key *key)
{
	const struct labelset *s;

	for (int left = MAX_CHAIN; id && id != until && left; left--) {
		if (set_is(id, key))
			return id;
		s = set_at(id);
		id = s ? LOAD_ACQ(&s->next) : 0;
	}
	return 0;
}

static uint8_t *put_text(uint8_t *at, const struct golabel_text *t)
{
	memcpy(at, t->bytes, t->count);
	return at + t->count;
}

static void fill(struct labelset *s, const struct key *key)
{
	uint8_t *at = s->texts;

	STORE(&s->hash, key->hash);
	s->bytes = (uint16_t)key->bytes;
	s->count = (uint8_t)key->labels->count;
	s->flags = is_part(key->labels) ? LABELSET_PART : 0;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct golabel *l = &key->labels->list[i];
		*at++ = count_byte(&l->key);
		*at++ = count_byte(&l->value);
		at = put_text(at, &l->key);
		at = put_text(at, &l->value);
	}
}

/* Threads that race for the last places may all get one. */
static uint32_t set_new(const struct key *key)
{
	size_t all = CELLS_ROUND(sizeof(struct labelset) + key->bytes);

	if (LOAD(&counters.sets) >= LABELSETS_MAX ||
	    LOAD(&counters.bytes) + all > region_layout.arena.bytes / LABELSETS_ARENA_SHARE)
		return 0;
	uint32_t id = cells_take(CELL_LABELS, all, CELLS_WHOLE);
	if (!id)
		return 0;
	ADD(&counters.bytes, all);
	fill(region_at((uint64_t)id * 8), key);
	return id;
}

static void give(uint32_t id)
{
	const struct labelset *s = set_at(id);

	__atomic_fetch_sub(&counters.bytes, CELLS_ROUND(sizeof(*s) + s->bytes), __ATOMIC_RELAXED);
	cells_give(id);
}

static void count_set(const struct golabels *labels)
{
	ADD(&counters.sets, 1);
	ADD(&counters.labels, labels->count);
	if (is_part(labels))
		ADD(&counters.part, 1);
}

/* Pushes at the head of the bucket, as stacks.c does; head: where the search began. */
static uint32_t push(uint32_t *bucket, uint32_t head, const struct key *key)
{
	uint32_t id = set_new(key);

	while (id) {
		struct labelset *s = region_at((uint64_t)id * 8);
		uint32_t seen = head, found;
		STORE(&s->next, head);
		if (__atomic_compare_exchange_n(bucket, &head, id, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			count_set(key->labels);
			break;
		}
		found = find(head, seen, key);
		if (found) {
			give(id);
			return found;
		}
	}
	return id;
}

static uint32_t *bucket_of(uint64_t hash)
{
	return &buckets[(hash ^ hash >> 32) & (BUCKETS - 1)];
}

uint32_t labelsets_intern(const struct golabels *labels)
{
	struct key key = key_of(labels);
	uint32_t *bucket = bucket_of(key.hash);
	uint32_t head = LOAD_ACQ(bucket);
	uint32_t id = find(head, 0, &key);

	if (!id)
		id = push(bucket, head, &key);
	if (!id)
		labelsets_count_dropped();
	return id;
}

/* ---- reclaiming --------------------------------------------------------- */

/* Taken out of the table but not yet freed. */
static uint32_t taken[LABELSETS_MAX], taken_count;

static void each_listed(void (*visit)(uint32_t *link, uint32_t id))
{
	for (uint32_t b = 0; b < BUCKETS; b++) {
		uint32_t *link = &buckets[b], id;
		struct labelset *s;
		for (int left = MAX_CHAIN; left && (id = LOAD_ACQ(link)) && (s = set_at(id));
		     left--) {
			visit(link, id);
			if (LOAD(link) == id)
				link = &s->next;
		}
	}
}

static void unmark(uint32_t *link, uint32_t id)
{
	(void)link;
	STORE(&set_at(id)->flags, (uint8_t)(set_at(id)->flags & ~LABELSET_MARKED));
}

void labelsets_unmark(void)
{
	each_listed(unmark);
	for (uint32_t i = 0; i < taken_count; i++)
		unmark(NULL, taken[i]);
}

void labelsets_mark(uint32_t id)
{
	struct labelset *s = id ? set_at(id) : NULL;

	if (s)
		STORE(&s->flags, (uint8_t)(s->flags | LABELSET_MARKED));
}

/* If another thread changes the head meanwhile, the set stays until the next time. */
static void take_out(uint32_t *link, uint32_t id)
{
	struct labelset *s = set_at(id);
	uint32_t expected = id;

	if (s->flags & LABELSET_MARKED || taken_count == LABELSETS_MAX)
		return;
	if (__atomic_compare_exchange_n(link, &expected, LOAD(&s->next), false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		taken[taken_count++] = id;
}

void labelsets_take_out(void)
{
	each_listed(take_out);
}

static void put_back(uint32_t id)
{
	uint32_t *bucket = bucket_of(set_at(id)->hash), head = LOAD_ACQ(bucket);

	do
		STORE(&set_at(id)->next, head);
	while (!__atomic_compare_exchange_n(bucket, &head, id, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE));
}

static void uncount_set(const struct labelset *s)
{
	__atomic_fetch_sub(&counters.sets, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&counters.labels, s->count, __ATOMIC_RELAXED);
	if (s->flags & LABELSET_PART)
		__atomic_fetch_sub(&counters.part, 1, __ATOMIC_RELAXED);
}

void labelsets_settle(void)
{
	for (uint32_t i = 0; i < taken_count; i++) {
		struct labelset *s = set_at(taken[i]);
		if (!s)
			continue;
		if (s->flags & LABELSET_MARKED) {
			put_back(taken[i]);
		} else {
			uncount_set(s);
			give(taken[i]);
		}
	}
	taken_count = 0;
}

void labelsets_follow_in_child(void)
{
	for (uint32_t i = 0; i < taken_count; i++)
		if (set_at(taken[i]))
			put_back(taken[i]);
	taken_count = 0;
}

uint32_t labelsets_permille(void)
{
	uint64_t most = region_layout.arena.bytes / LABELSETS_ARENA_SHARE;
	uint32_t sets = LOAD(&counters.sets) * 1000 / LABELSETS_MAX;
	uint32_t bytes = (uint32_t)(LOAD(&counters.bytes) * 1000 / (most ? most : 1));

	return sets > bytes ? sets : bytes;
}

/* ---- counters ----------------------------------------------------------- */

struct labelsets_counters labelsets_counters(void)
{
	return (struct labelsets_counters){.sets = LOAD(&counters.sets),
					   .labels = LOAD(&counters.labels),
					   .part = LOAD(&counters.part),
					   .dropped = LOAD(&counters.dropped)};
}

void labelsets_count_dropped(void)
{
	ADD(&counters.dropped, 1);
}
