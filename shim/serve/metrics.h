/*
 * Writes the account and the shim's own counters, in Prometheus' text format 0.0.4 or, for those
 * that ask for it, in OpenMetrics 1.0. An unknown figure has no line.
 */
#ifndef CGOHEAP_METRICS_H
#define CGOHEAP_METRICS_H

#include "account/account.h"
#include "profile/profile.h"

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS };

/* What an Accept header prefers; NULL: there is none. OpenMetrics is to be named. */
enum metrics_format metrics_format_of(const char *accept);
const char *metrics_content_type(enum metrics_format format);

/*
 * The library's own counters: SINGLE(type, name, value, help), and FAMILY(type, name, label,
 * function that writes its samples, help). tools/generate makes cgo_bridge/prom's list of them.
 */
#define METRICS_OF_LIBRARY(SINGLE, FAMILY)                                                         \
	FAMILY(gauge, "build_info", "version", write_version, "Version of the library; always 1.") \
	SINGLE(gauge, "sampling_enabled", control.on, "1 while allocations are sampled.")          \
	SINGLE(gauge, "sample_interval_bytes", control.sample_bytes,                               \
	       "Mean bytes between samples.")                                                      \
	SINGLE(gauge, "sample_interval_configured_bytes", control.configured_sample_bytes,         \
	       "Requested mean bytes between samples; the one in force may be larger.")            \
	SINGLE(counter_seconds, "recording_cpu_seconds_total", budget_get().cpu_ns,                \
	       "Processor time spent recording.")                                                  \
	SINGLE(counter, "samples_total", slow_samples_taken(), "Blocks recorded.")                 \
	SINGLE(gauge, "live_samples", live_count(), "Recorded blocks that are still in use.")      \
	FAMILY(counter, "samples_dropped_total", "reason", write_drops,                            \
	       "Samples and frees that could not be recorded.")                                    \
	SINGLE(counter, "samples_without_labels_total", labelsets_counters().dropped,              \
	       "Samples recorded without their goroutine labels.")                                 \
	FAMILY(counter, "captures_total", "end", write_stack_ends,                                 \
	       "Stacks captured, by how they ended.")                                              \
	SINGLE(gauge, "stacks", stacks_count(), "Distinct stacks.")                                \
	SINGLE(gauge, "sites", stacks_site_count(), "Distinct stacks and block sizes.")            \
	SINGLE(gauge, "ledger_ranges", mappings.ranges, "Ranges in the table of mappings.")        \
	SINGLE(counter, "ledger_refused_total", mappings.refused,                                  \
	       "Ranges for which the table of mappings had no room.")                              \
	SINGLE(counter, "ledger_uncaptured_total", mappings.uncaptured,                            \
	       "Mappings whose stack was not captured.")                                           \
	SINGLE(gauge, "shim_resident_bytes", region_resident_bytes(),                              \
	       "Resident memory of the library's tables.")                                         \
	SINGLE(gauge, "shim_max_bytes", region_layout.region_bytes + region_scratch_max_bytes(),   \
	       "Limit on the library's memory.")

/* Returns 0, or -1 if the sink failed. */
int metrics_write(struct sink *sink, enum metrics_format format, const struct account *account);

#endif
