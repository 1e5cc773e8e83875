/* See debt.h. */
#include "account/debt.h"

#include "base/clock.h"
#include "base/pagemap.h"
#include "record/frees.h"
#include "record/stacks.h"

/* What of the frees the collector caused.  all 0: not known. */
struct share {
	double by_gc, all;
};

static void share_add(struct share *share, uint32_t site)
{
	struct frees_kinds k = frees_of(site);
	double by_gc =
		(double)k.bytes_fx[FREED_BY_FINALIZER] + (double)k.bytes_fx[FREED_BY_CLEANUP];
	share->by_gc += by_gc;
	share->all += by_gc + (double)k.bytes_fx[FREED_BY_GO] + (double)k.bytes_fx[FREED_BY_C] +
		      (double)k.unknown_bytes_fx;
}

static struct share share_of_stack(uint32_t stack)
{
	struct share share = {0};
	uint32_t left = STACK_MAX_SIZES + 2 * ORIGIN_COUNT;
	for (uint32_t id = LOAD_ACQ(&stack_at(stack)->first_site); id && left;
	     id = LOAD(&site_at(id)->next), left--)
		share_add(&share, id);
	return share;
}

/* A snapshot's debt.  Sites of a stack are neighbours in it. */
static uint64_t sum_of(const struct snapshot *snapshot, bool *is_known)
{
	double sum = 0;
	uint32_t stack = 0;
	struct share stacks_share = {0};
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct tally *t = &snapshot->tallies[i];
		struct share share = {0};
		share_add(&share, t->site);
		if (share.all == 0 && t->stack != stack) {
			stack = t->stack;
			stacks_share = share_of_stack(stack);
		}
		if (share.all == 0)
			share = stacks_share;
		if (share.all == 0)
			continue;
		*is_known = true;
		if (t->inuse_bytes > 0)
			sum += (double)t->inuse_bytes * (share.by_gc / share.all);
	}
	return (uint64_t)(sum + 0.5);
}

void debt_read(struct scratch *scratch, uint64_t began_ns, struct debt *out)
{
	struct scratch part = scratch_part(scratch);
	struct snapshot all, old;
	bool is_known = false;
	uint64_t bytes = 0, now_ns = clock_monotonic_ns();
	*out = (struct debt){.bytes = UNKNOWN, .survived_bytes = UNKNOWN};
	if (stacks_snapshot(&part, 0, &all) == 0)
		bytes = sum_of(&all, &is_known);
	if (is_known)
		out->bytes = bytes;
	if (is_known && bytes == 0)
		out->survived_bytes = 0;
	else if (is_known && began_ns < now_ns &&
		 stacks_snapshot(&part, now_ns - began_ns, &old) == 0)
		out->survived_bytes = sum_of(&old, &is_known);
	if (out->survived_bytes != UNKNOWN && out->survived_bytes > bytes)
		out->survived_bytes = bytes; /* freed meanwhile */
	scratch_release(&part);              /* what there was no room for is unknown */
}
