/*
 * See metrics.h.  Names: base units, bytes and seconds; counters end in _total;
 * one family for all owners, which sum to the resident set.
 */
#include "serve/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "region/region.h"
#include "text/text.h"
#include "unwind/capture.h"
#include "record/budget.h"
#include "record/control.h"
#include "record/labelsets.h"
#include "record/live.h"
#include "record/mappings.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "hook/malloc_slow.h"

/* ---- the format --------------------------------------------------------- */

static void family(struct text *t, const char *name, const char *type, const char *help)
{
	text_printf(t, "# HELP cgoheap_%s %s\n# TYPE cgoheap_%s %s\n", name, help, name, type);
}

/* label NULL: none.  Values are ours, and need no escapes. */
static void sample(struct text *t, const char *name, const char *label, const char *label_value,
		   uint64_t value)
{
	if (value == UNKNOWN)
		return;
	if (label)
		text_printf(t, "cgoheap_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, label_value,
			    value);
	else
		text_printf(t, "cgoheap_%s %" PRIu64 "\n", name, value);
}

static void gauge(struct text *t, const char *name, const char *help, uint64_t value)
{
	if (value == UNKNOWN)
		return;
	family(t, name, "gauge", help);
	sample(t, name, NULL, NULL, value);
}

static void counter(struct text *t, const char *name, const char *help, uint64_t value)
{
	family(t, name, "counter", help);
	sample(t, name, NULL, NULL, value);
}

static void counter_seconds(struct text *t, const char *name, const char *help, uint64_t ns)
{
	family(t, name, "counter", help);
	text_printf(t, "cgoheap_%s %" PRIu64 ".%09" PRIu64 "\n", name, ns / 1000000000,
		    ns % 1000000000);
}

static void gauge_seconds(struct text *t, const char *name, const char *help, uint64_t ns)
{
	if (ns == UNKNOWN)
		return;
	family(t, name, "gauge", help);
	text_printf(t, "cgoheap_%s %" PRIu64 ".%09" PRIu64 "\n", name, ns / 1000000000,
		    ns % 1000000000);
}

/* ---- owners ------------------------------------------------------------- */

static void write_owners(struct text *t, const struct account *a)
{
	static const struct {
		const char *name, *help;
		size_t field;
	} figures[] = {
		{"memory_bytes", "Resident memory by owner; all owners together are the RSS.",
		 offsetof(struct account_bytes, resident)},
		{"memory_huge_bytes", "Of it in transparent huge pages.",
		 offsetof(struct account_bytes, huge)},
		{"memory_lazy_free_bytes", "Of it marked MADV_FREE.",
		 offsetof(struct account_bytes, lazy_free)},
		{"memory_swap_bytes", "Swapped out, by owner.",
		 offsetof(struct account_bytes, swapped)},
		{"memory_mapped_bytes", "Usable address space by owner, resident or not.",
		 offsetof(struct account_bytes, mapped)},
	};
	for (size_t i = 0; i < COUNT_OF(figures); i++) {
		family(t, figures[i].name, "gauge", figures[i].help);
		for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
			const struct account_bytes *o = &a->owners[owner];
			if (o->known)
				sample(t, figures[i].name, "owner",
				       account_owner_name((enum account_owner)owner),
				       *(const uint64_t *)((const char *)o + figures[i].field));
		}
		if (i == 0)
			sample(t, figures[i].name, "owner", "unexplained", a->unexplained_bytes);
	}
	gauge(t, "rss_bytes", "Resident set size, as the mappings sum up to.", a->rss_bytes);
	gauge(t, "mappings", "Mappings of the address space.", a->mappings);
	gauge(t, "thread_stacks", "Thread stacks that are known.", a->thread_stacks_count);
	gauge_seconds(t, "account_duration_seconds", "Time that taking this account took.",
		      a->took_ns);
}

/* ---- what others say ---------------------------------------------------- */

static void write_process(struct text *t, const struct process_stats *p)
{
	gauge(t, "process_vm_rss_bytes", "VmRSS of the process.", p->vm_rss);
	gauge(t, "process_vm_hwm_bytes", "VmHWM of the process: its highest RSS.", p->vm_hwm);
	gauge(t, "process_rss_anon_bytes", "RssAnon of the process.", p->rss_anon);
	gauge(t, "process_rss_file_bytes", "RssFile of the process.", p->rss_file);
	gauge(t, "process_rss_shmem_bytes", "RssShmem of the process.", p->rss_shmem);
	gauge(t, "process_vm_data_bytes", "VmData of the process.", p->vm_data);
	gauge(t, "process_vm_stk_bytes", "VmStk of the process: the main thread's stack.",
	      p->vm_stk);
	gauge(t, "process_vm_size_bytes", "VmSize of the process.", p->vm_size);
	gauge(t, "process_vm_swap_bytes", "VmSwap of the process.", p->vm_swap);
	gauge(t, "process_threads", "Threads of the process.", p->threads);
}

static void write_cgroup(struct text *t, const struct cgroup_stats *c)
{
	gauge(t, "cgroup_current_bytes", "Memory charged to the cgroup.", c->current);
	gauge(t, "cgroup_limit_bytes", "Lowest limit on the cgroup or one above it.", c->limit);
	gauge(t, "cgroup_anon_bytes", "Anonymous memory of the cgroup.", c->anon);
	gauge(t, "cgroup_file_bytes", "Page cache of the cgroup.", c->file);
	gauge(t, "cgroup_kernel_bytes", "Kernel memory of the cgroup.", c->kernel);
	gauge(t, "cgroup_swap_bytes", "Swap of the cgroup.", c->swap);
}

static void write_allocator(struct text *t, const struct account *a)
{
	const struct allocator_stats *s = &a->allocator;
	gauge(t, "allocator_in_use_bytes", "Blocks that the C allocator has handed out.",
	      s->in_use_bytes);
	gauge(t, "allocator_free_bytes", "Free memory inside the C allocator.", s->free_bytes);
	gauge(t, "allocator_mapped_bytes", "Big blocks with a mapping of their own.",
	      s->mapped_bytes);
	gauge(t, "allocator_system_bytes", "What the C allocator has from the system.",
	      s->system_bytes);
	gauge(t, "allocator_arenas", "Arenas of the C allocator.", s->arenas);
	gauge_seconds(t, "allocator_statistics_duration_seconds",
		      "Time that asking the C allocator took, under its locks.", s->nanoseconds);
	gauge(t, "c_live_estimate_bytes", "C memory in use by the samples.",
	      a->c_live_estimate_bytes);
	gauge(t, "c_live_estimate_standard_error_bytes", "Standard error of that estimate.",
	      a->c_live_estimate_error);
}

static void write_go(struct text *t, const struct go_stats *g)
{
	gauge(t, "go_heap_in_use_bytes", "Go heap spans in use.", g->heap_in_use_bytes);
	gauge(t, "go_heap_free_bytes", "Go heap free and not returned.", g->heap_free_bytes);
	gauge(t, "go_heap_released_bytes", "Go heap returned to the system.",
	      g->heap_released_bytes);
	gauge(t, "go_stacks_bytes", "Go arenas that are not heap: stacks and manual spans.",
	      g->stacks_bytes);
	gauge(t, "go_mapped_ready_bytes", "What the Go runtime has ready.", g->mapped_ready_bytes);
}

/* ---- the shim ----------------------------------------------------------- */

static void write_drops(struct text *t)
{
	static const char name[] = "samples_dropped_total";
	family(t, name, "counter", "What could not be recorded.");
	sample(t, name, "reason", "live_full", LOAD(&slow_drops.live_full));
	sample(t, name, "reason", "reentered", LOAD(&slow_drops.reentered));
	sample(t, name, "reason", "no_stack", LOAD(&slow_drops.no_stack));
	sample(t, name, "reason", "stale", LOAD(&slow_drops.stale));
}

static void write_stack_ends(struct text *t)
{
	family(t, "captures_total", "counter", "Stacks captured, by how they ended.");
	for (uint32_t i = 0; i < CAPTURE_WALK_ENDS; i++)
		sample(t, "captures_total", "end", capture_end_name(i), LOAD(&slow_ends[i]));
}

static void write_shim(struct text *t)
{
	struct control_state c = control_get();
	struct mappings_counters mappings = mappings_counters();
	family(t, "build_info", "gauge", "Version of the library; always 1.");
	sample(t, "build_info", "version", CGOHEAP_VERSION, 1);
	gauge(t, "sampling_enabled", "1 while allocations are sampled.", c.on);
	gauge(t, "sample_interval_bytes", "Mean bytes between samples.", c.sample_bytes);
	gauge(t, "sample_interval_configured_bytes",
	      "The interval asked for; a smaller one than in force where a budget is used up.",
	      c.configured_sample_bytes);
	counter_seconds(t, "recording_cpu_seconds_total", "Processor time spent recording.",
			budget_get().cpu_ns);
	counter(t, "samples_total", "Blocks recorded.", LOAD(&slow_samples));
	gauge(t, "live_samples", "Recorded blocks that are still in use.", live_count());
	write_drops(t);
	counter(t, "samples_without_labels_total",
		"Samples recorded without the goroutine labels they had.",
		labelsets_counters().dropped);
	write_stack_ends(t);
	gauge(t, "stacks", "Distinct stacks.", stacks_count());
	gauge(t, "sites", "Distinct stacks and block sizes.", stacks_site_count());
	gauge(t, "ledger_ranges", "Ranges in the ledger of mappings.", mappings.ranges);
	counter(t, "ledger_refused_total", "Ranges for which the ledger had no room.",
		mappings.refused);
	counter(t, "ledger_uncaptured_total", "Mappings whose stack was not captured.",
		mappings.uncaptured);
	gauge(t, "shim_resident_bytes", "Resident memory of the library's tables.",
	      region_resident_bytes());
	gauge(t, "shim_max_bytes", "Bound on the library's own memory.",
	      region_layout.region_bytes + region_scratch_max_bytes());
}

int metrics_write(struct sink *sink, const struct account *a)
{
	struct text t;
	text_init(&t, sink);
	write_owners(&t, a);
	write_process(&t, &a->process);
	write_cgroup(&t, &a->cgroup);
	write_allocator(&t, a);
	write_go(&t, &a->go);
	write_shim(&t);
	return text_flush(&t);
}
