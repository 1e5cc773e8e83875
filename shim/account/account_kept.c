/*
 * What the C allocator keeps: how much malloc_trim would return, and why not the rest.
 */
#include "base/work.h"
#include "hook/real.h"
#include "account/account_job.h"
#include "account/glibckept.h"

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Takes up to bytes from *left; UNKNOWN stays unknown. */
static uint64_t take(uint64_t *left, uint64_t bytes)
{
	if (bytes == UNKNOWN)
		return UNKNOWN;
	bytes = lower(bytes, *left);
	*left -= bytes;
	return bytes;
}

/* Limits the cost to a process with many free chunks, or many blocks. */
static struct {
	struct glibckept found;
	uint64_t found_of; /* bytes that were retained then */
	struct work_rest rest;
	struct pinned pinned;
	uint64_t pinned_of;
	struct work_rest pinned_rest;
} last;

/* What was found does not apply to what is retained now: much was freed or taken since, and all
 * of the difference would seem to be pinned. */
static bool is_outdated(uint64_t retained_then, uint64_t retained)
{
	uint64_t less = lower(retained_then, retained);
	uint64_t change = retained_then + retained - 2 * less;
	return change >= KEPT_WORTH_BYTES && change > less / 8;
}

void account_kept_forget(void)
{
	work_rest_end(&last.rest);
	work_rest_end(&last.pinned_rest);
}

static uint64_t scaled(uint64_t bytes, uint64_t retained)
{
	if (bytes == UNKNOWN || last.found_of == 0)
		return bytes;
	return (uint64_t)((double)bytes * ((double)retained / (double)last.found_of) + 0.5);
}

/* A small change is divided as the rest is: it is not all pinned. */
static struct glibckept found_scaled(uint64_t retained)
{
	return (struct glibckept){.returnable = scaled(last.found.returnable, retained),
				  .arena_ends = scaled(last.found.arena_ends, retained),
				  .end_count = last.found.end_count};
}

static struct glibckept read_or_last(const struct glibckept_places *places, uint64_t retained)
{
	if (work_is_resting(&last.rest) && is_outdated(last.found_of, retained))
		return (struct glibckept){.returnable = UNKNOWN};
	if (work_is_resting(&last.rest))
		return found_scaled(retained);
	uint64_t begun_ns = work_cpu_ns();
	glibckept_read(places, &last.found);
	last.found_of = retained;
	work_rest_after(&last.rest, work_cpu_ns() - begun_ns);
	return last.found;
}

static uint64_t retained_of(const struct account_job *job)
{
	return job->out->owners[OWNER_C_RETAINED].resident;
}

static bool pinned_is_outdated(const struct account_job *job)
{
	return is_outdated(last.pinned_of, retained_of(job));
}

/* What it needs of scratch is free again for the rest of the answer. heaps NULL: of jemalloc. */
static void read_pinned(struct account_job *job, const struct glibckept_places *heaps,
			uint64_t bytes)
{
	uint64_t begun_ns = work_cpu_ns();
	struct scratch part = scratch_part(job->scratch);
	struct glibcchunk_heaps found;
	struct pinned_places places = {.heaps = &found, .bins = allocator_bins()};
	if (work_is_resting(&last.pinned_rest)) {
		pinned_check_sites(&last.pinned);
		return;
	}
	last.pinned.method = PINNED_UNKNOWN;
	last.pinned_of = retained_of(job);
	if (!heaps || glibcchunk_heaps_find(&part, heaps->heaps, heaps->what, heaps->brk_start,
					    heaps->brk_end, &found) == 0)
		(void)pinned_read(&part, &places, bytes, &last.pinned);
	scratch_release(&part);
	work_rest_after(&last.pinned_rest, work_cpu_ns() - begun_ns);
}

static void split(struct account *a, const struct glibckept *found)
{
	uint64_t left = a->owners[OWNER_C_RETAINED].resident;
	a->kept.arena_ends = take(&left, found->arena_ends);
	a->kept.end_count = found->end_count;
	a->kept.returnable = take(&left, found->returnable);
	a->kept.cached = take(&left, a->allocator.cached_bytes);
	a->kept.pinned = left;
}

static void read_glibc(struct account_job *job)
{
	struct account *a = job->out;
	struct glibckept_places places = {.heaps = &job->glibc.found,
					  .what = OWNER_C_RETAINED,
					  .brk_start = job->heap_start,
					  .brk_end = job->heap_end};
	if (!account_ranges_data(job, (uint64_t)real.malloc, &places.data_start, &places.data_end))
		return;
	struct glibckept found = read_or_last(&places, retained_of(job));
	if (found.returnable != UNKNOWN)
		split(a, &found);
	if (found.returnable != UNKNOWN && a->kept.pinned < KEPT_WORTH_BYTES)
		return;
	read_pinned(job, &places, a->kept.pinned);
	/* A walk over the heaps takes less than one over so many free chunks' lists. */
	if (found.returnable == UNKNOWN && last.pinned.kept.returnable != UNKNOWN &&
	    !pinned_is_outdated(job))
		split(a, &last.pinned.kept);
}

/* Pages in no slab are dirty, and returned by a purge; what is free in slabs is pinned. */
static void read_jemalloc(struct account_job *job, const struct jemallocbins *bins)
{
	struct kept_bytes *k = &job->out->kept;
	uint64_t left = job->out->owners[OWNER_C_RETAINED].resident, in_slabs = 0;
	for (size_t i = 0; i < bins->count; i++)
		in_slabs += bins->list[i].free_bytes;
	k->returnable = take(&left, bins->dirty_bytes);
	k->pinned = take(&left, in_slabs);
	if (k->pinned >= KEPT_WORTH_BYTES)
		read_pinned(job, NULL, k->pinned);
}

void account_kept_read(struct account_job *job)
{
	struct account *a = job->out;
	const struct account_bytes *retained = &a->owners[OWNER_C_RETAINED];
	const struct jemallocbins *bins = allocator_bins();
	a->kept = (struct kept_bytes){UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN};
	if (!retained->known || retained->resident < KEPT_WORTH_BYTES)
		return;
	if (allocator_is_glibc())
		read_glibc(job);
	else if (bins)
		read_jemalloc(job, bins);
	if (last.pinned.method != PINNED_UNKNOWN && a->kept.pinned != UNKNOWN &&
	    a->kept.pinned >= KEPT_WORTH_BYTES && !pinned_is_outdated(job))
		job->parts->pinned = &last.pinned;
}
