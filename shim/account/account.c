/* See account.h; account_job.h has the parts. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/seccomp.h"
#include "base/work.h"
#include "proc/procinfo.h"
#include "go/gostats.h"
#include "go/gosym.h"
#include "go/govars.h"
#include "record/control.h"
#include "record/live.h"
#include "record/peak.h"
#include "record/mappings.h"
#include "account/account_job.h"

static const char *const names[OWNER_COUNT] = {
#define NAME(owner, name, go_name) [OWNER_##owner] = name,
	ACCOUNT_OWNERS(NAME)
#undef NAME
};

const char *account_owner_name(enum account_owner owner)
{
	return (unsigned)owner < OWNER_COUNT ? names[owner] : "";
}

static void add_warning(struct account_job *job, const char *sentence)
{
	if (job->warning_count < ACCOUNT_WARNINGS)
		job->out->warnings[job->warning_count++] = sentence;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- Go ----------------------------------------------------------------- */

static void split_go(struct account_job *job)
{
	struct account *a = job->out;
	struct account_bytes *heap = &a->owners[OWNER_GO_HEAP];
	struct account_bytes *stacks = &a->owners[OWNER_GO_STACKS];
	gostats_read(job->scratch, job->go_heap_usable, &a->go);
	if (!heap->known) {
		stacks->known = false;
		return;
	}
	bool by_package = a->go.runtime[CGOHEAP_GO_HEAP_STACKS] != UNKNOWN;
	/* The runtime's figure includes the free spans that it keeps for stacks. */
	uint64_t resident = by_package ? a->go.stacks_bytes
				       : gostats_stacks_resident(job->scratch, &job->go_heap);
	if (a->go.has_package && !by_package)
		add_warning(job, "Go's own figures did not arrive within 100 ms: heap_live_bytes, "
				 "metadata_bytes and runtime_metrics are missing");
	stacks->known = resident != UNKNOWN;
	if (!gosym_is_go()) { /* known to be none */
		stacks->known = true;
		return;
	}
	if (!stacks->known) {
		add_warning(job,
			    govars_runtimes() > 1
				    ? "there are several Go runtimes: go_heap has the goroutine "
				      "stacks of all"
				    : "the binary has no symbols to tell goroutine stacks from "
				      "the Go heap: go_heap has both");
		return;
	}
	stacks->resident = lower(resident, heap->resident);
	heap->resident -= stacks->resident;
	/* Their place in the heap is not recorded, so pages are divided in proportion to bytes. */
	stacks->mapped =
		lower(a->go.stacks_bytes == UNKNOWN ? stacks->resident : a->go.stacks_bytes,
		      heap->mapped);
	heap->mapped -= stacks->mapped;
}

/* ---- the C allocator ---------------------------------------------------- */

/* The possible difference between two readings a moment apart. */
#define HEAP_MARGIN (256 * KIB)

/* What the main arena has from the system, or UNKNOWN. */
static uint64_t main_arena_bytes(const struct account_job *job)
{
	const struct allocator_stats *s = &job->out->allocator;
	if (!allocator_is_glibc() || job->allocator_result != ALLOCATOR_OK ||
	    s->system_bytes == UNKNOWN || s->mapped_bytes == UNKNOWN)
		return UNKNOWN;
	uint64_t arenas = s->system_bytes - lower(s->mapped_bytes, s->system_bytes);
	/* Some heaps only look like its own, so nothing is known. */
	return job->glibc.heap_bytes > arenas ? UNKNOWN : arenas - job->glibc.heap_bytes;
}

/*
 * The brk heap is not only glibc's. If other code took memory by sbrk and glibc continued above
 * it, glibc counts the gap as its own and in use (sysmalloc, "foreign sbrk").
 */
static void take_out_gaps(struct account_job *job, uint64_t main_bytes)
{
	struct allocator_stats *s = &job->out->allocator;
	if (main_bytes <= job->heap_bytes)
		return;
	uint64_t gaps = lower(main_bytes - job->heap_bytes, job->heap_others);
	s->in_use_bytes -= lower(gaps, s->in_use_bytes);
	s->system_bytes -= gaps;
}

/* Memory in it that glibc does not know was taken by code that no hook sees. */
static void give_others_heap(struct account_job *job, uint64_t main_bytes)
{
	struct account_bytes *pool = &job->out->owners[OWNER_C_RETAINED];
	struct account_bytes *brk = &job->out->owners[OWNER_C_BRK];
	if (job->heap_bytes <= main_bytes + HEAP_MARGIN ||
	    job->heap_resident <= main_bytes + HEAP_MARGIN)
		return;
	uint64_t bytes = lower(job->heap_resident - main_bytes, pool->resident);
	brk->resident += bytes;
	brk->mapped += job->heap_bytes - main_bytes;
	brk->exact = false;
	pool->resident -= bytes;
	pool->mapped -= lower(job->heap_bytes - main_bytes, pool->mapped);
}

/* Read again if it matters: the heap may have grown since. */
static void divide_heap(struct account_job *job)
{
	uint64_t main_bytes = main_arena_bytes(job);
	if (main_bytes == UNKNOWN || !job->out->owners[OWNER_C_RETAINED].known)
		return;
	if (job->heap_resident > main_bytes + HEAP_MARGIN) {
		job->allocator_result = allocator_read(&job->out->allocator);
		main_bytes = main_arena_bytes(job);
	}
	if (main_bytes == UNKNOWN)
		return;
	take_out_gaps(job, main_bytes);
	give_others_heap(job, main_bytes);
}

/* In use and free in the allocator's pools, without big blocks. */
struct pool {
	uint64_t resident, in_use, free; /* UNKNOWN */
};

static struct pool pool_of(const struct account_job *job)
{
	const struct allocator_stats *s = &job->out->allocator;
	struct pool p = {.resident = job->out->owners[OWNER_C_RETAINED].resident,
			 .in_use = s->in_use_bytes,
			 .free = s->free_bytes};
	if (p.in_use != UNKNOWN && s->mapped_bytes != UNKNOWN)
		p.in_use -= lower(s->mapped_bytes, p.in_use);
	/* The rest of musl's pools is not in use either: headers, and the ends of slots. */
	if (allocator_is_musl() && s->system_bytes != UNKNOWN)
		p.free = s->system_bytes - lower(s->in_use_bytes, s->system_bytes);
	/* The allocator reports its total but not what is in use, so the samples are the best
	 * estimate. */
	if (p.in_use == UNKNOWN && job->out->c_live_estimate_bytes != UNKNOWN &&
	    job->allocator_result != ALLOCATOR_SILENT)
		p.in_use = (uint64_t)job->live.bytes;
	return p;
}

/*
 * The resident part of what is in use. It is at least the resident bytes minus free memory, and
 * at most either figure. In between, the resident share of the sampled blocks decides.
 */
static uint64_t live_in_pool(const struct account_job *job, const struct pool *p, bool *exact)
{
	uint64_t high = lower(p->in_use, p->resident);
	uint64_t low = p->free != UNKNOWN && p->resident > p->free ? p->resident - p->free : 0;
	low = lower(low, high);
	double touched =
		job->live.pool_bytes > 0 ? job->live.pool_resident / job->live.pool_bytes : 1;
	uint64_t estimate = (uint64_t)(touched * (double)p->in_use);
	*exact = low == high || (touched == 1 && job->live.pool_bytes > 0 &&
				 p->in_use <= p->resident && job->allocator_result == ALLOCATOR_OK);
	return estimate < low ? low : lower(estimate, high);
}

/* The pools' resident bytes that the allocator reports neither as in use nor as free, and
 * which therefore only look like its own. */
static uint64_t beyond_its_figures(const struct account_job *job, const struct pool *p)
{
	if (job->allocator_result != ALLOCATOR_OK || p->in_use == UNKNOWN || p->free == UNKNOWN ||
	    allocator_is_musl()) /* of which nothing is guessed */
		return 0;
	uint64_t has = p->in_use + p->free;
	/* Other allocators also keep their own tables there. */
	uint64_t margin = allocator_is_glibc() ? MIB + has / 50 : 8 * MIB + has / 8;
	return p->resident > has + margin ? p->resident - has : 0;
}

static void give_to_unknown(struct account_job *job, struct pool *p)
{
	uint64_t bytes = beyond_its_figures(job, p);
	if (bytes == 0)
		return;
	job->out->owners[OWNER_C_RETAINED].resident -= bytes;
	job->out->owners[OWNER_UNTRACKED_MMAP].resident += bytes;
	job->out->owners[OWNER_UNTRACKED_MMAP].exact = false;
	p->resident -= bytes;
	add_warning(job, "memory that looks like the C allocator's is neither in use nor free by "
			 "its figures: it is in untracked_mmap");
}

/* The library behind malloc has no statistics. Its memory is in its mappings, and nothing is
 * known about what glibc left in [heap] either. */
static void give_to_mmap(struct account_job *job)
{
	static const enum account_owner owners[] = {OWNER_C_LIVE, OWNER_C_RETAINED};
	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		struct account_bytes *from = &job->out->owners[owners[i]];
		job->out->owners[OWNER_C_MMAP].resident += from->resident;
		job->out->owners[OWNER_C_MMAP].exact &= from->resident == 0;
		*from = (struct account_bytes){.mapped = UNKNOWN};
	}
}

/* Moves the part of the pools in use to c_live, which already has the big blocks. */
static void split_allocator(struct account_job *job)
{
	struct account_bytes *live = &job->out->owners[OWNER_C_LIVE];
	struct account_bytes *pool = &job->out->owners[OWNER_C_RETAINED];
	struct pool p = pool_of(job);
	uint64_t in_use = job->out->allocator.in_use_bytes;
	uint64_t mapped = live->mapped + pool->mapped;
	if (!live->known || !pool->known) { /* which part of the heap they use is unknown */
		live->known = pool->known = false;
		return;
	}
	if (job->allocator_result == ALLOCATOR_SILENT) {
		give_to_mmap(job);
		return;
	}
	give_to_unknown(job, &p);
	uint64_t moved = p.resident;
	if (p.in_use == UNKNOWN) {
		pool->known = live->exact = false;
		add_warning(job,
			    "how much of the C allocator's memory is in use is unknown: c_live "
			    "has all of it");
	} else {
		moved = live_in_pool(job, &p, &live->exact);
		pool->exact = live->exact;
	}
	if (pool->resident) {
		uint64_t huge =
			(uint64_t)((double)pool->huge * (double)moved / (double)pool->resident);
		live->huge += huge;
		pool->huge -= lower(huge, pool->huge);
	}
	live->resident += moved;
	pool->resident -= moved;
	live->mapped = in_use;
	pool->mapped = in_use == UNKNOWN ? UNKNOWN : mapped - lower(in_use, mapped);
}

static void read_live(struct account_job *job)
{
	struct account *a = job->out;
	a->c_live_estimate_bytes = a->c_live_estimate_error = a->c_blocks_touched_permille =
		UNKNOWN;
	if (account_live_read(job->scratch, &job->live)) {
		job->incomplete = true;
		job->live.count = 0;
		return;
	}
	if (job->live.was_cut || (!control_get().on && job->live.count == 0))
		return;
	a->c_live_estimate_bytes = (uint64_t)job->live.bytes;
	a->c_live_estimate_error = (uint64_t)sqrt(job->live.variance);
}

static void measure_live(struct account_job *job)
{
	account_live_measure(&job->live, job->parts);
	job->parts->blocks = job->live.blocks;
	job->parts->block_count = job->live.count;
	if (job->live.all_bytes > 0)
		job->out->c_blocks_touched_permille =
			(uint64_t)(1000 * job->live.all_resident / job->live.all_bytes + 0.5);
}

/* ---- warnings ----------------------------------------------------------- */

/* glibc counts blocks in threads' caches as in use: at most 7 of each of 64 sizes. */
#define CACHED_BYTES_PER_THREAD (256 * KIB)

/* The command reports the reason as far as it is known. */
static void warn_of_mismatch(struct account_job *job)
{
	const struct account *a = job->out;
	if (job->allocator_result != ALLOCATOR_OK || a->c_live_estimate_bytes == UNKNOWN ||
	    a->allocator.in_use_bytes == UNKNOWN)
		return;
	double in_use = (double)a->allocator.in_use_bytes;
	double error = 3 * (double)a->c_live_estimate_error;
	double low = job->live.bytes - error - MIB;
	/* Other allocators round up to size classes, which are at most a quarter apart. */
	double high = allocator_is_glibc() ? 1.02 * job->live.rounded_bytes
					   : 1.25 * job->live.rounded_bytes;
	high += error + MIB +
		(double)CACHED_BYTES_PER_THREAD *
			(double)(a->process.threads == UNKNOWN ? 1 : a->process.threads);
	if (in_use > high)
		add_warning(job, "the C allocator has more in use than the samples account for");
	else if (in_use < low)
		add_warning(job, "the samples account for more than the C allocator has in use");
}

static void warn(struct account_job *job)
{
	const struct account *a = job->out;
	if (work_was_cut())
		add_warning(job, WORK_MISSING ": the owners' figures are lower bounds, and the "
					      "rest is unexplained");
	if (a->unsplit_mappings && !work_was_cut())
		add_warning(
			job,
			seccomp_allows_rare()
				? "cannot read /proc/self/pagemap: pages of mappings with several "
				  "owners are unexplained"
				: "not available here: seccomp, and cannot read "
				  "/proc/self/pagemap: pages of mappings with several owners are "
				  "unexplained");
	if (job->allocator_result == ALLOCATOR_UNANSWERED)
		add_warning(job,
			    "the C allocator did not answer: a stopped thread holds one of its "
			    "locks");
	if (job->allocator_result == ALLOCATOR_OLD)
		add_warning(job, "the C allocator's figures are from an earlier account: reading "
				 "them takes long and makes the program wait");
	if (job->allocator_result == ALLOCATOR_SILENT)
		add_warning(job, "the library behind malloc has no statistics that cgoheap "
				 "supports: its memory is in c_mmap and c_brk, by the code that "
				 "mapped it, and how much of it is in use is unknown");
	if (job->allocator_result == ALLOCATOR_OK && allocator_is_glibc() &&
	    a->allocator.in_use_bytes == UNKNOWN)
		add_warning(job, "this glibc counts what malloc has in use to 4 GiB only, which "
				 "the process's memory is beyond: c_live is by samples");
	if (allocator_is_musl() && a->allocator.in_use_bytes == UNKNOWN)
		add_warning(job, "the structures of musl's malloc cannot be read here, or it is "
				 "not mallocng (musl 1.2.1 and later): its memory is recognised by "
				 "sampled blocks in it, and c_live is by samples");
	if (a->allocator.mapped_bytes != UNKNOWN && allocator_is_glibc() &&
	    job->glibc.big_bytes + MIB < a->allocator.mapped_bytes)
		add_warning(job, "not all of the C allocator's big blocks were found: the rest "
				 "of them is in untracked_mmap");
	if (mappings_counters().refused)
		add_warning(job, "the table of mappings was full: what it refused is in "
				 "untracked_mmap; raise CGOHEAP_MAX_MEMORY");
	if (job->incomplete || job->scratch->exhausted)
		add_warning(job, "incomplete: the memory for accounts ran out; raise "
				 "CGOHEAP_MAX_MEMORY");
	warn_of_mismatch(job);
}

/* ---- the account -------------------------------------------------------- */

static void sum_up(struct account *a)
{
	uint64_t sum = 0;
	a->is_partial = work_was_cut();
	if (a->is_partial && a->process.vm_rss != UNKNOWN && a->process.vm_rss > a->rss_bytes)
		a->rss_bytes = a->process.vm_rss; /* all mappings, including those not read */
	for (size_t i = 0; i < OWNER_COUNT; i++)
		sum += a->owners[i].known ? a->owners[i].resident : 0;
	a->unexplained_bytes = a->rss_bytes > sum ? a->rss_bytes - sum : 0;
}

static uint64_t realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static int take(struct account_job *job)
{
	struct account *a = job->out;
	job->allocator_result = allocator_read(&a->allocator);
	read_live(job);
	if (account_ranges_collect(job) != 0 || account_pass(job) != 0)
		return -1;
	procinfo_read_status(job->scratch, NULL, &a->process);
	procinfo_read_cgroup(job->scratch, "", &a->cgroup);
	measure_live(job);
	divide_heap(job);
	split_allocator(job);
	account_kept_read(job);
	a->private_count = privatealloc_read(job->scratch, &job->modules, a->private_allocators);
	split_go(job);
	debt_read(job->scratch, &a->go.gc, &a->debt);
	if (allocator_is_glibc())
		a->allocator.arenas = job->glibc.arenas + 1;
	sum_up(a);
	warn(job);
	return 0;
}

static struct account_peak peak_seen(enum peak which)
{
	struct peak_height height = peak_height(which);

	if (!height.bytes)
		return (struct account_peak){UNKNOWN, UNKNOWN};
	return (struct account_peak){height.bytes,
				     region_layout.start_realtime_ns + height.tick * LIVE_TICK_NS};
}

int account_take(struct scratch *scratch, struct account *out, struct account_parts *parts)
{
	struct account_job *job = scratch_alloc(scratch, sizeof(*job));
	uint64_t start_ns = clock_monotonic_ns();
	if (!job || pagemap_page_bytes() != PAGE_BYTES)
		return -1;
	seccomp_look();
	*out = (struct account){.time_ns = realtime_ns(),
				.c_peak = peak_seen(PEAK_C),
				.rss_peak = peak_seen(PEAK_RSS),
				.c_in_use_now_bytes = peak_in_use(),
				.thread_stacks_count = 1};
	*parts = (struct account_parts){0};
	for (size_t i = 0; i < OWNER_COUNT; i++)
		out->owners[i].known = out->owners[i].exact = true;
	*job = (struct account_job){.scratch = scratch, .out = out, .parts = parts};
	int result = take(job);
	out->took_ns = clock_monotonic_ns() - start_ns;
	return result;
}
