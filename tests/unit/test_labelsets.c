/* Interned sets of labels: stored once, bounded, complete for every reader. */
#include "child.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "region/cells.h"
#include "record/labelsets.h"
#include "record/labeltext.h"

static void add(struct golabels *l, const char *key, const char *value)
{
	l->list[l->count++] = (struct golabel){{key, (uint8_t)strlen(key), false},
					       {value, (uint8_t)strlen(value), false}};
	l->total++;
}

static struct golabels one(const char *key, const char *value)
{
	struct golabels l = {0};

	add(&l, key, value);
	return l;
}

static bool text_is(const struct golabel_text *a, const struct golabel_text *b)
{
	return a->count == b->count && a->is_cut == b->is_cut &&
	       memcmp(a->bytes, b->bytes, a->count) == 0;
}

static bool set_is(uint32_t id, const struct golabels *l)
{
	struct golabels have;

	labelsets_get(id, &have);
	for (uint32_t i = 0; i < have.count; i++)
		if (!text_is(&have.list[i].key, &l->list[i].key) ||
		    !text_is(&have.list[i].value, &l->list[i].value))
			return false;
	return have.count == l->count;
}

static void equal_sets_are_one(void)
{
	char copy[] = "tenant";
	struct golabels a = one("tenant", "a"), b = one(copy, "a");
	uint32_t id;

	CHECK(region_init(8 * MIB) == 0);
	id = labelsets_intern(&a);
	CHECK(id && labelsets_intern(&b) == id && set_is(id, &a));
	CHECK(labelsets_counters().sets == 1 && labelsets_counters().labels == 1);
	add(&a, "user", "");
	CHECK(labelsets_intern(&a) != id && set_is(labelsets_intern(&a), &a));
	CHECK(labelsets_counters().sets == 2 && labelsets_counters().labels == 3);
}
CASE(equal_sets_are_one)

/* The same bytes with a different meaning. */
static void different_sets_are_not(void)
{
	struct golabels sets[] = {one("ab", "c"), one("a", "bc"), one("abc", ""), one("", "abc"),
				  one("ab", "c"), one("ab", "c"), one("ab", "c")};
	uint32_t ids[COUNT_OF(sets)];

	CHECK(region_init(8 * MIB) == 0);
	sets[4].list[0].key.is_cut = true;
	sets[5].list[0].value.is_cut = true;
	sets[6].total = 2;
	for (size_t i = 0; i < COUNT_OF(sets); i++)
		CHECK((ids[i] = labelsets_intern(&sets[i])) != 0);
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		CHECK(set_is(ids[i], &sets[i]) && labelsets_intern(&sets[i]) == ids[i]);
		for (size_t k = 0; k < i; k++)
			CHECK(ids[k] != ids[i]);
	}
	CHECK(labelsets_counters().sets == COUNT_OF(sets) && labelsets_counters().part == 1);
}
CASE(different_sets_are_not)

static void the_largest_set(void)
{
	static char bytes[GOLABELS_MAX][GOLABELS_BYTES];
	struct golabels l = {.count = GOLABELS_MAX, .total = 99};

	CHECK(region_init(8 * MIB) == 0);
	for (size_t i = 0; i < GOLABELS_MAX; i++) {
		memset(bytes[i], (int)i, GOLABELS_BYTES);
		l.list[i] = (struct golabel){{bytes[i], GOLABELS_BYTES, true},
					     {bytes[i], GOLABELS_BYTES, true}};
	}
	CHECK(set_is(labelsets_intern(&l), &l));
}
CASE(the_largest_set)

static void their_number_is_bounded(void)
{
	struct golabels l, first = one("request", "0");
	char value[16];
	uint32_t id;
	int n = 0;

	CHECK(region_init(32 * MIB) == 0);
	id = labelsets_intern(&first);
	do {
		snprintf(value, sizeof(value), "%d", ++n);
		l = one("request", value);
	} while (labelsets_intern(&l));
	CHECK(n == LABELSETS_MAX && labelsets_counters().sets == LABELSETS_MAX);
	CHECK(labelsets_counters().dropped == 1 && !labelsets_intern(&l));
	CHECK(labelsets_counters().dropped == 2 && labelsets_intern(&first) == id);
}
CASE(their_number_is_bounded)

static void their_bytes_are_bounded(void)
{
	static char value[GOLABELS_BYTES];
	struct golabels l = {.count = GOLABELS_MAX, .total = GOLABELS_MAX};
	uint64_t n = 0;

	CHECK(region_init(8 * MIB) == 0);
	for (size_t i = 0; i < GOLABELS_MAX; i++)
		l.list[i] = (struct golabel){{"key", 3, false}, {value, GOLABELS_BYTES, false}};
	do
		memcpy(value, &n, sizeof(n));
	while (labelsets_intern(&l) && n++ < LABELSETS_MAX);
	CHECK(n > 20 && n < LABELSETS_MAX);
	CHECK(cells_used_bytes() <= region_layout.arena.bytes / 8);
}
CASE(their_bytes_are_bounded)

static void a_full_arena_has_no_labels(void)
{
	struct golabels l = one("a", "b");

	CHECK(region_init(4 * MIB) == 0);
	while (region_alloc(8))
		;
	CHECK(!labelsets_intern(&l) && labelsets_counters().dropped == 1);
}
CASE(a_full_arena_has_no_labels)

/* Whatever a wild write leaves, the answer stays within bounds. */
static void damaged_records_are_read_within_bounds(void)
{
	struct golabels l = one("tenant", "a"), have;
	uint32_t id;

	CHECK(region_init(8 * MIB) == 0);
	add(&l, "user", "b");
	id = labelsets_intern(&l);
	for (size_t i = 0; i < sizeof(struct labelset) + 17; i++) {
		uint8_t *byte = (uint8_t *)region_at((uint64_t)id * 8) + i, kept = *byte;
		for (int value = 0; value < 256; value++) {
			*byte = (uint8_t)value;
			labelsets_get(id, &have);
			CHECK(have.count <= GOLABELS_MAX);
			for (uint32_t k = 0; k < have.count; k++)
				CHECK(have.list[k].value.bytes + have.list[k].value.count <=
				      (char *)region + region_layout.arena.offset +
					      LOAD(&region_layout.arena_used));
			labelsets_intern(&l);
		}
		*byte = kept;
	}
	for (uint32_t wild = 0; wild < 3000; wild++)
		labelsets_get(wild * 1000003, &have);
	labelsets_get(UINT32_MAX, &have);
	CHECK(have.count == 0);
}
CASE(damaged_records_are_read_within_bounds)

/* ---- many threads ----------------------------------------------------------- */

#define THREADS 2
#define SETS    4000

static uint32_t ids[THREADS][SETS];
static uint64_t arrived;

/* Releases all at once: a spinning barrier, because waking threads would separate them. */
static void line_up(uint64_t until)
{
	__atomic_fetch_add(&arrived, 1, __ATOMIC_RELAXED);
	for (int spins = 0; __atomic_load_n(&arrived, __ATOMIC_RELAXED) < until; spins++)
		if (spins > 10000)
			sched_yield();
}

static void *intern_all(void *arg)
{
	uint32_t *mine = arg;
	char value[16];

	for (int n = 0; n < SETS; n++) {
		struct golabels l;
		snprintf(value, sizeof(value), "%d", n);
		l = one("request", value);
		line_up(THREADS * (uint64_t)(n + 1));
		mine[n] = labelsets_intern(&l);
		CHECK(set_is(mine[n], &l));
	}
	return NULL;
}

static void no_set_is_ever_twice(void)
{
	pthread_t threads[THREADS];

	CHECK(region_init(32 * MIB) == 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, intern_all, ids[i]));
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 1; i < THREADS; i++)
		CHECK(memcmp(ids[i], ids[0], sizeof(ids[0])) == 0);
	CHECK(labelsets_counters().sets == SETS);
}
CASE(no_set_is_ever_twice)

/* ---- for people --------------------------------------------------------------- */

static void check_escape(const char *bytes, size_t count, bool is_cut, bool is_quoted,
			 const char *want)
{
	struct golabel_text text = {bytes, (uint8_t)count, is_cut};
	char out[LABELTEXT_BYTES];

	labeltext_escape(&text, is_quoted, out);
	if (strcmp(out, want) != 0)
		fprintf(stderr, "got %s, want %s\n", out, want);
	CHECK(strcmp(out, want) == 0);
}

#define ESCAPES(text, want) check_escape(text, sizeof(text) - 1, false, false, want)

static void nothing_harmful_gets_out(void)
{
	static char invalid[GOLABELS_BYTES], worst[LABELTEXT_BYTES];
	char *at = worst;

	ESCAPES("", "");
	ESCAPES("/v1/query \"x\" \\", "/v1/query \"x\" \\");
	ESCAPES("gr\u00fc\u00dfe \u4e16 \U0001f642", "gr\u00fc\u00dfe \u4e16 \U0001f642");
	ESCAPES("\x1b[1m\n\t\r\0\x7f", "\\x1b[1m\\n\\t\\r\\x00\\x7f");
	ESCAPES("\xc2\x85|\u202e|\u200b|\ufeff", "\\u0085|\\u202e|\\u200b|\\ufeff");
	ESCAPES("\xff|\xc3|\xc0\x80|\xed\xa0\x80", "\\xff|\\xc3|\\xc0\\x80|\\xed\\xa0\\x80");
	check_escape("a\"\\\n", 4, false, true, "a\\\"\\\\\\n");
	memset(invalid, 0xff, sizeof(invalid));
	for (size_t i = 0; i < sizeof(invalid); i++)
		at += sprintf(at, "\\xff");
	strcpy(at, "...");
	check_escape(invalid, sizeof(invalid), true, true, worst);
}
CASE(nothing_harmful_gets_out)

/* Only a character torn by the cut is left out; text that was invalid before it is shown. */
static void a_cut_text_ends_in_a_whole_character(void)
{
	check_escape("ab", 2, true, false, "ab...");
	check_escape("ab\xc3", 3, true, false, "ab...");
	check_escape("ab\xe4\xb8", 4, true, false, "ab...");
	check_escape("ab\xf0\x9f\x99", 5, true, false, "ab...");
	check_escape("ab\xc3\xbc", 4, true, false, "ab\u00fc...");
	check_escape("ab\xff", 3, true, false, "ab\\xff...");
	check_escape("ab\xe4x", 4, true, false, "ab\\xe4x...");
	check_escape("ab\x80", 3, true, false, "ab\\x80...");
	check_escape("ab\xc3", 3, false, false, "ab\\xc3");
}
CASE(a_cut_text_ends_in_a_whole_character)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_sets_are_one),
		cmocka_unit_test(test_different_sets_are_not),
		cmocka_unit_test(test_the_largest_set),
		cmocka_unit_test(test_their_number_is_bounded),
		cmocka_unit_test(test_their_bytes_are_bounded),
		cmocka_unit_test(test_a_full_arena_has_no_labels),
		cmocka_unit_test(test_damaged_records_are_read_within_bounds),
		cmocka_unit_test(test_no_set_is_ever_twice),
		cmocka_unit_test(test_nothing_harmful_gets_out),
		cmocka_unit_test(test_a_cut_text_ends_in_a_whole_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
