/* What was in use at a peak, by site: see peak.h. */
#include "base/clock.h"
#include "record/live.h"
#include "record/peak.h"

uint64_t peak_monotonic_ns(uint32_t tick)
{
	return region_layout.start_monotonic_ns + tick * LIVE_TICK_NS;
}

/*
 * What the site had. Its figures are older than the question whether it has kept some: what
 * changed in between was kept first.
 */
static struct tally tally_at_peak(const struct tally *now, enum peak which)
{
	const struct site *s = site_at(now->site);
	struct tally t = {.site = now->site, .stack = now->stack, .born = now->born};
	struct peak_figures then = {.objects = (uint64_t)now->inuse_objects,
				    .bytes = (uint64_t)now->inuse_bytes};

	if (s->origin == ORIGIN_THREAD_STACK)
		return t;
	peak_has_figures(s, which, &then);
	t.alloc_objects = t.inuse_objects = (int64_t)then.objects;
	t.alloc_bytes = t.inuse_bytes = (int64_t)then.bytes;
	return t;
}

static int snapshot_once(struct scratch *scratch, enum peak which, struct snapshot *out)
{
	size_t kept = 0;

	if (stacks_snapshot(scratch, 0, out))
		return -1;
	for (size_t i = 0; i < out->count; i++) {
		struct tally t = tally_at_peak(&out->tallies[i], which);
		if (!tally_is_zero(&t))
			out->tallies[kept++] = t;
	}
	out->count = kept;
	out->time_ns = peak_monotonic_ns(peak_height(which).tick);
	return 0;
}

/* A thread that was about to make a peak may still make one. */
#define MOST_TRIES 4

/* Where a higher peak comes meanwhile, the figures of some sites would be of the one before. */
int peak_snapshot(struct scratch *scratch, enum peak which, struct snapshot *out)
{
	const struct region_peak *p = &region->peaks[which];
	uint16_t number;
	int result, tries = 0;

	do {
		number = peak_number(p);
		result = snapshot_once(scratch, which, out);
		peak_hold(true);
	} while (!result && peak_number(p) != number && ++tries < MOST_TRIES);
	peak_hold(false);
	return result;
}
