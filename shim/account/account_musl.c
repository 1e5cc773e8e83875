/*
 * Claims what musl's malloc has mapped.
 */
#include "account/account_job.h"
#include "account/mallocng.h"

/* Whether a sampled block in use begins there. */
static bool has_block(const struct account_live *live, uint64_t start, uint64_t end)
{
	size_t low = 0, high = live->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (live->items[middle].key < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < live->count && live->items[low].key < end;
}

static void take_if_used(void *arg, uint64_t start, uint64_t end,
			 const struct rangeset_range *claim)
{
	struct account_job *job = arg;
	if (!claim && has_block(&job->live, start, end))
		job->incomplete |= rangeset_add(job->scratch, &job->musl, start, end,
						OWNER_C_RETAINED, 0) != 0;
}

/* By its structures, else by the blocks that it has handed out: its mappings pass no hook. */
int account_musl_find(struct account_job *job)
{
	struct rangeset *found = &job->musl;
	struct mallocng unused;
	if (mallocng_read(&unused, job->scratch, found) == 0) {
		for (size_t i = 0; i < found->count; i++)
			found->list[i].what = found->list[i].what == MALLOCNG_BIG
						      ? OWNER_C_LIVE
						      : OWNER_C_RETAINED;
		return 0;
	}
	*found = (struct rangeset){0};
	for (size_t i = 0; i < job->anonymous.count; i++)
		account_ranges_cut(job, job->anonymous.list[i].start, job->anonymous.list[i].end,
				   take_if_used, job);
	return rangeset_sort(job->scratch, found);
}
