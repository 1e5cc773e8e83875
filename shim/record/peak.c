/* See peak.h. */
#include "record/peak.h"

#include <assert.h>

#include "base/pagemap.h"
#include "record/live.h"

static_assert(PEAKS == SITE_PEAKS && PEAKS == COUNT_OF(((struct region_header *)0)->peaks),
	      "region layout");
static_assert(PEAK_NUMBER_BITS + PEAK_FIGURE_BITS == 64, "region layout");

#define MOST_NUMBER ((1u << PEAK_NUMBER_BITS) - 1)
#define MOST_FIGURE ((UINT64_C(1) << PEAK_FIGURE_BITS) - 1)

__thread int64_t peak_own_fx;

static struct region_peak *peak_of(enum peak which)
{
	return &region->peaks[which];
}

/* ---- a site's words ----------------------------------------------------- */

static uint64_t word_of(uint16_t number, uint64_t figure)
{
	return (uint64_t)number << PEAK_FIGURE_BITS | (figure < MOST_FIGURE ? figure : MOST_FIGURE);
}

static uint64_t rounded(uint64_t fixed, int bits)
{
	int64_t whole = ((int64_t)fixed + (1 << (bits - 1))) >> bits;

	return whole > 0 ? (uint64_t)whole : 0;
}

/*
 * Of several threads that change the site the first one's figure stays. One that was stopped since
 * it loaded `before` finds another word, and leaves it.
 */
static void keep_figure(uint64_t *word, uint64_t before, uint16_t number, uint64_t figure)
{
	if (before >> PEAK_FIGURE_BITS != number)
		__atomic_compare_exchange_n(word, &before, word_of(number, figure), false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void keep_objects(struct site *s, enum peak which)
{
	uint64_t before = LOAD_ACQ(&s->peak_objects[which]);
	uint16_t number = peak_number(peak_of(which));
	uint64_t freed_fx = site_objects_freed_fx(s);

	keep_figure(&s->peak_objects[which], before, number,
		    rounded(site_objects_made_fx(s) - freed_fx, WEIGHT_OBJECT_BITS));
}

/*
 * A thread that made the total higher may be stopped before it says so. The total has not fallen
 * yet, since this is the first change after it; a lower one after it must not be taken for a peak.
 */
static void say_highest(struct region_peak *p, uint16_t number)
{
	uint64_t now = LOAD_ACQ(&p->now);
	int64_t figure = (int64_t)now >> PEAK_NUMBER_BITS;

	if ((uint16_t)now == number && figure > 0)
		raise_to(&p->highest, (uint64_t)figure);
}

/*
 * Says that figures are kept under the present number, before they are: a higher total meanwhile
 * takes another one. A thread that was stopped in here says nothing of an older number: that would
 * take back what was said of the present one, which is only said once.
 */
static uint16_t say_kept(enum peak which)
{
	struct region_peak *p = peak_of(which);
	uint16_t said = __atomic_load_n(&p->kept, __ATOMIC_SEQ_CST), number;

	do {
		number = peak_number(p);
		if (said == number)
			return number;
	} while (!__atomic_compare_exchange_n(&p->kept, &said, number, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	if (which == PEAK_C)
		say_highest(p, number);
	return number;
}

static void keep(struct site *s, enum peak which)
{
	uint64_t before = LOAD_ACQ(&s->peak_bytes[which]);

	if (!peak_differs(before, peak_of(which)))
		return;
	uint16_t number = say_kept(which);
	uint64_t freed_fx = LOAD_ACQ(&s->free_bytes_fx);
	uint64_t bytes = rounded(LOAD(&s->alloc_bytes_fx) - freed_fx, WEIGHT_BYTE_BITS);
	if (!site_block_bytes(s))
		keep_objects(s, which);
	keep_figure(&s->peak_bytes[which], before, number, bytes);
}

void peak_keep(struct site *s)
{
	for (enum peak i = 0; i < PEAKS; i++)
		keep(s, i);
}

bool peak_has_figures(const struct site *s, enum peak which, struct peak_figures *out)
{
	uint64_t bytes = LOAD_ACQ(&s->peak_bytes[which]), size = site_block_bytes(s);
	uint64_t objects = size ? 0 : LOAD_ACQ(&s->peak_objects[which]);

	if (peak_differs(bytes, peak_of(which)))
		return false;
	out->bytes = bytes & MOST_FIGURE;
	out->objects = size ? (out->bytes + size / 2) / size : objects & MOST_FIGURE;
	return true;
}

bool peak_has_site(const struct site *s)
{
	struct peak_figures f;

	for (enum peak i = 0; i < PEAKS; i++)
		if (peak_has_figures(s, i, &f) && (f.bytes || f.objects))
			return true;
	return false;
}

static void fold_figure(uint64_t *word, enum peak which, uint64_t figure)
{
	uint64_t before = peak_differs(*word, peak_of(which)) ? 0 : *word & MOST_FIGURE;

	STORE_REL(word, word_of(peak_number(peak_of(which)), before + figure));
}

void peak_fold(const struct site *gone, struct site *to)
{
	struct peak_figures f;

	for (enum peak i = 0; i < PEAKS; i++) {
		if (!peak_has_figures(gone, i, &f))
			continue;
		fold_figure(&to->peak_objects[i], i, f.objects);
		fold_figure(&to->peak_bytes[i], i, f.bytes);
	}
}

/* ---- the peaks ---------------------------------------------------------- */

static uint64_t now_of(int64_t figure, uint16_t number)
{
	return (uint64_t)figure << PEAK_NUMBER_BITS | number;
}

/* The number of what is higher than what had `number`. */
static uint16_t number_after(uint16_t number)
{
	return (uint16_t)(number % MOST_NUMBER + 1);
}

static bool is_kept(const struct region_peak *p, uint16_t number)
{
	return __atomic_load_n(&p->kept, __ATOMIC_SEQ_CST) == number;
}

/* Whole bytes, which the total gets; a fraction stays. */
static int64_t take_own(void)
{
	int64_t own_fx = LOAD(&peak_own_fx), bytes = own_fx >> WEIGHT_BYTE_BITS;

	STORE(&peak_own_fx, own_fx - bytes * (1 << WEIGHT_BYTE_BITS));
	return bytes;
}

void peak_flush(void)
{
	if (region)
		ADD(&peak_of(PEAK_C)->now, now_of(take_own(), 0));
}

/* Sets what is now, and takes the next number if that is the highest. */
static void move(struct region_peak *p, int64_t more)
{
	uint64_t before = LOAD_ACQ(&p->now), after;
	int64_t figure;
	bool is_highest;

	do {
		uint16_t number = (uint16_t)before;
		figure = ((int64_t)before >> PEAK_NUMBER_BITS) + more;
		is_highest = figure > (int64_t)LOAD(&p->highest);
		after = now_of(figure,
			       is_highest && is_kept(p, number) ? number_after(number) : number);
	} while (!__atomic_compare_exchange_n(&p->now, &before, after, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
	if (!is_highest)
		return;
	STORE(&p->tick, live_tick_now());
	raise_to(&p->highest, (uint64_t)figure);
}

static bool held;

void peak_hold(bool are_held)
{
	STORE(&held, are_held);
}

/* Nothing is kept for the peak before, which this ends, unless peaks are held. */
void peak_add_highest(struct site *s, struct weight w)
{
	bool is_peak = !LOAD(&held);

	if (!is_peak)
		keep(s, PEAK_C);
	keep(s, PEAK_RSS);
	site_add_alloc(s, w);
	STORE(&peak_own_fx, LOAD(&peak_own_fx) + (int64_t)w.bytes_fx);
	if (is_peak)
		move(peak_of(PEAK_C), take_own());
	else
		peak_flush();
}

/* ---- the server's thread ------------------------------------------------ */

uint64_t peak_in_use(void)
{
	int64_t now = peak_now(peak_of(PEAK_C));

	return now > 0 ? (uint64_t)now : 0;
}

/* ---- numbers that come again -------------------------------------------- */

static void clear_word(uint64_t *word, enum peak which)
{
	uint64_t before = LOAD_ACQ(word);

	if (before && peak_differs(before, peak_of(which)))
		__atomic_compare_exchange_n(word, &before, 0, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED);
}

static void clear_old(uint32_t site, void *which)
{
	struct site *s = site_at(site);
	enum peak peak = *(enum peak *)which;

	clear_word(&s->peak_bytes[peak], peak);
	if (!site_block_bytes(s))
		clear_word(&s->peak_objects[peak], peak);
}

/* Long before a number comes again no site has kept figures under it. */
static void clear_in_time(void)
{
	static uint16_t cleared[PEAKS];

	for (enum peak i = 0; i < PEAKS; i++) {
		uint16_t number = peak_number(peak_of(i));
		if ((uint16_t)(number - cleared[i]) < MOST_NUMBER / 8)
			continue;
		stacks_each_site(clear_old, &i);
		cleared[i] = number;
	}
}

/* ---- looks -------------------------------------------------------------- */

/* RSS of a later time says nothing of a peak that is over. */
static bool is_still_on(const struct region_peak *c)
{
	uint64_t highest = LOAD(&c->highest);

	return peak_in_use() >= highest - highest / 32;
}

void peak_look(uint64_t rss_bytes)
{
	static uint64_t seen; /* the highest of C in use at the last look */
	struct region_peak *c = peak_of(PEAK_C), *rss = peak_of(PEAK_RSS);
	uint64_t highest = LOAD(&c->highest);

	clear_in_time();
	if (rss_bytes == UNKNOWN)
		return;
	if (highest != seen) {
		seen = highest;
		STORE(&c->other_bytes, is_still_on(c) ? rss_bytes : UNKNOWN);
	}
	if (rss_bytes > LOAD(&rss->highest))
		STORE(&rss->other_bytes, peak_in_use());
	move(rss, (int64_t)rss_bytes - peak_now(rss));
}

struct peak_height peak_height(enum peak which)
{
	const struct region_peak *p = peak_of(which);

	return (struct peak_height){.bytes = LOAD(&p->highest),
				    .other_bytes = LOAD(&p->other_bytes),
				    .tick = LOAD(&p->tick),
				    .since_tick = LOAD(&region->peaks_since_tick)};
}

/* What is higher than now, and was found meanwhile, is found again with the next block. */
static void reset(struct region_peak *p)
{
	uint64_t before = LOAD_ACQ(&p->now), after;

	do
		after = now_of((int64_t)before >> PEAK_NUMBER_BITS, number_after((uint16_t)before));
	while (!__atomic_compare_exchange_n(&p->now, &before, after, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_ACQUIRE));
	int64_t figure = (int64_t)after >> PEAK_NUMBER_BITS;
	STORE(&p->highest, figure > 0 ? (uint64_t)figure : 0);
	STORE(&p->other_bytes, UNKNOWN);
	STORE(&p->tick, live_tick_now());
}

void peak_reset(void)
{
	STORE(&region->peaks_since_tick, live_tick_now());
	reset(peak_of(PEAK_C));
	reset(peak_of(PEAK_RSS));
	STORE(&peak_of(PEAK_RSS)->highest,
	      0); /* the last look is past: the next one is the first */
}

void peak_follow_in_child(void)
{
	struct stacks_totals now = stacks_totals();
	struct region_peak *p = peak_of(PEAK_C);

	STORE(&held, false);
	STORE(&peak_own_fx, 0);
	STORE(&p->now,
	      now_of((int64_t)(now.bytes[ORIGIN_MALLOC] + now.bytes[ORIGIN_MMAP]), peak_number(p)));
}
