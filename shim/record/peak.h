/*
 * What was in use when most was: the profile as it was at the highest C in use, and at the highest
 * RSS, since the start or the last reset.
 *
 * Nothing is copied at a peak. Each peak has a number; and a site keeps, for each of both peaks,
 * what it had before its first change after the peak, with the peak's number. So the figures at the
 * peak are: of a site that has kept some under the peak's number, those; of any other site, what it
 * has now. Of C in use each sampled block and each mapping is looked at when it comes and goes, so
 * no spike is too short, and what a killed process leaves behind is right to the last sample. RSS
 * is looked at once a second, and 20 times a second while it rises fast (peakwatch.h).
 *
 * C in use is what is sampled and mapped; stacks of threads, of which only the size is known, are
 * not part of it, nor of the figures at a peak. So that threads do not contend for the total, each
 * keeps up to PEAK_BATCH_BYTES to itself while that cannot make a peak. The total and the peak's
 * number are one word: a total that is higher than ever takes the next number at the same instant,
 * if a site has kept figures under the present one. So the figures are those of the highest total,
 * but for what each other thread kept to itself, and one sample of each thread that was in the
 * middle of a change.
 */
#ifndef CGOHEAP_PEAK_H
#define CGOHEAP_PEAK_H

#include "base/base.h"
#include "region/region.h"
#include "record/stacks.h"

#define PEAK_BATCH_BYTES (64 * KIB)

enum peak { PEAK_C, PEAK_RSS, PEAKS };

/*
 * The number is the low bits of region_peak.now, and the high bits of site.peak_bytes and
 * peak_objects, with the figure below. It goes from 1 to 2^16 - 1 and begins again; words of older
 * peaks are cleared before they could be taken for the present one's (peak_look), and 0 is no
 * peak's. The recorder's reader knows this.
 */
#define PEAK_NUMBER_BITS 16
#define PEAK_FIGURE_BITS 48

/* Of this thread: C in use that the total lacks. */
extern __thread int64_t peak_own_fx
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline uint16_t peak_number(const struct region_peak *p)
{
	return (uint16_t)LOAD_ACQ(&p->now);
}

/* Signed: threads that free may be ahead of those that allocated. */
static inline int64_t peak_now(const struct region_peak *p)
{
	return (int64_t)LOAD(&p->now) >> PEAK_NUMBER_BITS;
}

/* Not 0: this word of a site is not the peak's. */
static inline uint64_t peak_differs(uint64_t word, const struct region_peak *p)
{
	return word >> PEAK_FIGURE_BITS ^ peak_number(p);
}

/* The outlines of the functions below. */
void peak_keep(struct site *s);
void peak_add_highest(struct site *s, struct weight w);

/* Adds to the total what this thread has kept to itself. Its own; also when a thread ends. */
void peak_flush(void);

static inline void peak_set_own(int64_t own_fx)
{
	const int64_t most_fx = (int64_t)PEAK_BATCH_BYTES << WEIGHT_BYTE_BITS;

	STORE(&peak_own_fx, own_fx);
	if (unlikely((uint64_t)(own_fx + most_fx) > 2 * (uint64_t)most_fx ||
		     sample_self.registered != 1))
		peak_flush();
}

static inline void peak_before_change(struct site *s, const struct region_peak *p)
{
	if (unlikely(peak_differs(LOAD(&s->peak_bytes[PEAK_C]), &p[PEAK_C]) |
		     peak_differs(LOAD(&s->peak_bytes[PEAK_RSS]), &p[PEAK_RSS])))
		peak_keep(s);
}

/*
 * site_add_alloc and site_add_free, for blocks and mappings that come and go, but not for threads'
 * stacks. Hooks; lock-free, no system call.
 */
static inline void peak_add_alloc(struct site *s, struct weight w)
{
	const struct region_peak *p = region->peaks;
	int64_t own_fx = LOAD(&peak_own_fx) + (int64_t)w.bytes_fx;

	if (unlikely(peak_now(&p[PEAK_C]) + (own_fx >> WEIGHT_BYTE_BITS) >
		     (int64_t)LOAD(&p[PEAK_C].highest))) {
		peak_add_highest(s, w);
		return;
	}
	peak_before_change(s, p);
	site_add_alloc(s, w);
	peak_set_own(own_fx);
}

static inline void peak_add_free(struct site *s, struct weight w)
{
	peak_before_change(s, region->peaks);
	site_add_free(s, w);
	peak_set_own(LOAD(&peak_own_fx) - (int64_t)w.bytes_fx);
}

/* ---- the server's thread ------------------------------------------------ */

/*
 * The process has so many resident bytes now: is that the peak? Call it once a second, and before
 * figures are shown.
 */
void peak_look(uint64_t rss_bytes);

/* What was highest, in bytes; the other figure, UNKNOWN if it is not known; when, and since when,
 * as in struct live_block. */
struct peak_height {
	uint64_t bytes, other_bytes;
	uint32_t tick, since_tick;
};
struct peak_height peak_height(enum peak which);

uint64_t peak_monotonic_ns(uint32_t tick); /* CLOCK_MONOTONIC */

/*
 * While they are held, what is higher makes no peak; it is found with the first block after that,
 * if it is still there. For a snapshot, which would be of two peaks.
 */
void peak_hold(bool are_held);

/*
 * What was in use then, by site; alloc figures repeat it. Returns 0, or -1 if scratch is exhausted.
 * Valid as stacks_snapshot's.
 */
int peak_snapshot(struct scratch *scratch, enum peak which, struct snapshot *out);

/* C in use now, in bytes, without stacks of threads. */
uint64_t peak_in_use(void);

/* Both peaks are from now on what is now. */
void peak_reset(void);

/* What the site had at the peak; `now`: what it has. False: it has kept nothing, so it had that. */
struct peak_figures {
	uint64_t objects, bytes;
};
bool peak_has_figures(const struct site *s, enum peak which, struct peak_figures *out);

/* Whether the site, with nothing in use, had something at one of the peaks. */
bool peak_has_site(const struct site *s);
/* That site is about to go: adds what it had to a site that never changes by hooks. */
void peak_fold(const struct site *gone, struct site *to);

/* In a child of fork that keeps profiling: what other threads had yet to add is lost. */
void peak_follow_in_child(void);

#endif
