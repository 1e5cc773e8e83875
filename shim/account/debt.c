/* See debt.h. */
#include "account/debt.h"

#include "base/clock.h"
#include "base/pagemap.h"
#include "record/frees.h"
#include "record/live.h"
#include "record/stacks.h"

/* What of the frees the collector caused.  all 0: not known. */
struct share {
	double by_gc, all;
};

static struct share share_of(struct frees_kinds k)
{
	double by_gc =
		(double)k.bytes_fx[FREED_BY_FINALIZER] + (double)k.bytes_fx[FREED_BY_CLEANUP];

	return (struct share){by_gc, by_gc + (double)k.bytes_fx[FREED_BY_GO] +
					     (double)k.bytes_fx[FREED_BY_C] +
					     (double)k.unknown_bytes_fx};
}

/* A sum over sites; those of a stack come one after the other. */
struct sum {
	double bytes;
	bool is_known;
	uint32_t stack; /* the last one that was asked for */
	struct share of_stack;
};

static void sum_add(struct sum *sum, const struct tally *t)
{
	struct share share = share_of(frees_of(t->site));
	if (share.all == 0 && t->stack != sum->stack) {
		sum->stack = t->stack;
		sum->of_stack = share_of(frees_of_stack(t->stack));
	}
	if (share.all == 0)
		share = sum->of_stack;
	if (share.all == 0)
		return;
	sum->is_known = true;
	if (t->inuse_bytes > 0)
		sum->bytes += (double)t->inuse_bytes * (share.by_gc / share.all);
}

static uint64_t sum_rounded(const struct sum *sum)
{
	return (uint64_t)(sum->bytes + 0.5);
}

static void add_site(uint32_t site, void *arg)
{
	struct tally t = stacks_tally(site);
	sum_add(arg, &t);
}

/* What of the debt was allocated before then; UNKNOWN. */
static uint64_t older_than(const struct scratch *scratch, uint64_t monotonic_ns, uint64_t debt)
{
	struct scratch part = scratch_part(scratch);
	struct snapshot old;
	struct sum sum = {0};
	uint64_t bytes = UNKNOWN, now_ns = clock_monotonic_ns();
	if (monotonic_ns != UNKNOWN && monotonic_ns >= now_ns)
		return debt;
	if (monotonic_ns != UNKNOWN && stacks_snapshot(&part, now_ns - monotonic_ns, &old) == 0) {
		for (size_t i = 0; i < old.count; i++)
			sum_add(&sum, &old.tallies[i]);
		bytes = sum_rounded(&sum);
	}
	scratch_release(&part); /* what there is no room for is unknown */
	return bytes != UNKNOWN && bytes > debt ? debt : bytes; /* freed meanwhile */
}

/* Blocks' times are rounded down to ticks: older_than takes them to be as late as may be, so a
 * block is surely newer if it is not older than a tick later. */
void debt_read(struct scratch *scratch, const struct gogc *gc, struct debt *out)
{
	struct sum sum = {0};
	stacks_each_site(add_site, &sum);
	*out = (struct debt){sum.is_known ? sum_rounded(&sum) : UNKNOWN, UNKNOWN, UNKNOWN};
	if (out->bytes == 0)
		out->survived_bytes = out->new_bytes = 0;
	if (out->bytes == 0 || out->bytes == UNKNOWN)
		return;
	out->survived_bytes = older_than(scratch, gc->began_ns, out->bytes);
	uint64_t ended_ns = gc->ended_ns;
	if (ended_ns != UNKNOWN && ended_ns != 0)
		ended_ns += LIVE_TICK_NS;
	uint64_t old_bytes = older_than(scratch, ended_ns, out->bytes);
	if (old_bytes != UNKNOWN)
		out->new_bytes = out->bytes - old_bytes;
}
