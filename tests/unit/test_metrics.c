/* /metrics: names, types, and no line for an unknown figure. */
#include "child.h"
#include "kept.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "region/region.h"
#include "record/control.h"
#include "serve/metrics.h"

static struct kept kept;
static char *page;
static enum metrics_format format = METRICS_TEXT;

/* What was on it before is gone. */
static void write_to_page(const struct account *a)
{
	free(kept.bytes);
	kept_init(&kept, SIZE_MAX);
	CHECK(metrics_write(&kept.sink, format, a) == 0);
	page = (char *)kept.bytes;
}

static struct account some_account(void)
{
	struct account a = {.rss_bytes = 1000, .unexplained_bytes = 10, .took_ns = 1500000};
	for (unsigned i = 0; i < OWNER_COUNT; i++)
		a.owners[i] = (struct account_bytes){.resident = i, .known = true};
	memset(&a.allocator, 0xff, sizeof(a.allocator));
	memset(&a.go, 0xff, sizeof(a.go));
	memset(&a.process, 0xff, sizeof(a.process));
	memset(&a.cgroup, 0xff, sizeof(a.cgroup));
	a.c_live_estimate_bytes = a.c_live_estimate_error = UNKNOWN;
	return a;
}

static uint32_t (*doublings)(uint32_t sample_bytes, bool restarted);

static void write_page(const struct account *a)
{
	CHECK(region_init(8 * MIB) == 0);
	control_init(&(struct control_start){.sample_bytes = 524288, .doublings = doublings});
	write_to_page(a);
}

static bool has_line(const char *line)
{
	char whole[256];
	snprintf(whole, sizeof(whole), "\n%s\n", line);
	return strstr(page, whole);
}

static void owners_are_one_family(void)
{
	struct account a = some_account();
	a.owners[OWNER_GO_STACKS].known = false;
	a.owners[OWNER_C_LIVE].mapped = UNKNOWN;
	write_page(&a);
	CHECK(has_line("# TYPE cgoheap_memory_bytes gauge"));
	CHECK(has_line("cgoheap_memory_bytes{owner=\"c_live\"} 3"));
	CHECK(has_line("cgoheap_memory_bytes{owner=\"unexplained\"} 10"));
	CHECK(has_line("cgoheap_rss_bytes 1000"));
	CHECK(has_line("cgoheap_account_duration_seconds 0.001500000"));
	CHECK(!strstr(page, "owner=\"go_stacks\""));
	CHECK(!strstr(page, "cgoheap_memory_mapped_bytes{owner=\"c_live\"}"));
	CHECK(has_line("cgoheap_memory_mapped_bytes{owner=\"c_mmap\"} 0"));
}
CASE(owners_are_one_family)

static void unknown_has_no_line(void)
{
	struct account a = some_account();
	write_page(&a);
	CHECK(!strstr(page, "cgoheap_process_") && !strstr(page, "cgoheap_cgroup_"));
	CHECK(!strstr(page, "cgoheap_allocator_") && !strstr(page, "cgoheap_go_heap"));
	CHECK(!strstr(page, "18446744073709551615"));
}
CASE(unknown_has_no_line)

static uint32_t two(uint32_t sample_bytes, bool restarted)
{
	(void)sample_bytes;
	return restarted ? 0 : 2;
}

/* The two intervals show that a budget is used up. */
static void a_raised_interval_is_beside_the_one_asked_for(void)
{
	struct account a = some_account();
	struct timespec second = {.tv_sec = 1, .tv_nsec = 1000000};
	doublings = two;
	write_page(&a);
	CHECK(has_line("cgoheap_sample_interval_bytes 524288"));
	CHECK(has_line("cgoheap_sample_interval_configured_bytes 524288"));
	nanosleep(&second, NULL);
	control_tick();
	write_to_page(&a);
	doublings = NULL;
	CHECK(has_line("cgoheap_sample_interval_bytes 2097152"));
	CHECK(has_line("cgoheap_sample_interval_configured_bytes 524288"));
}
CASE(a_raised_interval_is_beside_the_one_asked_for)

static void known_has_one(void)
{
	struct account a = some_account();
	a.process.vm_rss = 5;
	a.cgroup.limit = 6;
	a.allocator.nanoseconds = 2000000001;
	a.go.heap_free_bytes = 7;
	write_page(&a);
	CHECK(has_line("cgoheap_process_vm_rss_bytes 5"));
	CHECK(has_line("cgoheap_cgroup_limit_bytes 6"));
	CHECK(has_line("cgoheap_allocator_statistics_duration_seconds 2.000000001"));
	CHECK(has_line("cgoheap_go_heap_free_bytes 7"));
	CHECK(has_line("cgoheap_sampling_enabled 1"));
	CHECK(has_line("cgoheap_sample_interval_bytes 524288"));
	CHECK(has_line("cgoheap_build_info{version=\"" CGOHEAP_VERSION "\"} 1"));
	CHECK(has_line("cgoheap_samples_dropped_total{reason=\"live_full\"} 0"));
}
CASE(known_has_one)

/* Each sample follows the HELP and TYPE of its family, each family appears once, and counters
 * have counter names. */
static void well_formed(void)
{
	struct account a = some_account();
	char family[128] = "", seen[16 * KIB] = "", type[16] = "";
	write_page(&a);
	CHECK(page[kept.count - 1] == '\n');
	for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
		char name[128], quoted[140];
		if (sscanf(line, "# HELP %127s", name) == 1) {
			snprintf(quoted, sizeof(quoted), " %s ", name);
			CHECK(!strstr(seen, quoted));
			strcat(seen, quoted);
			strcpy(family, name);
			CHECK(line[strlen(line) - 1] == '.');
		} else if (sscanf(line, "# TYPE %127s %15s", name, type) == 2) {
			CHECK(strcmp(name, family) == 0);
			bool is_total =
				strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
			CHECK(is_total == (strcmp(type, "counter") == 0));
		} else {
			CHECK(sscanf(line, "%127[a-z_]", name) == 1);
			CHECK(strcmp(name, family) == 0);
			CHECK(strncmp(name, "cgoheap_", 8) == 0);
		}
	}
}
CASE(well_formed)

static void openmetrics_names_families(void)
{
	struct account a = some_account();
	format = METRICS_OPENMETRICS;
	write_page(&a);
	CHECK(has_line("# TYPE cgoheap_samples counter"));
	CHECK(strstr(page, "\ncgoheap_samples_total "));
	CHECK(!strstr(page, "# TYPE cgoheap_samples_total"));
	CHECK(has_line("# UNIT cgoheap_memory_bytes bytes"));
	CHECK(has_line("# UNIT cgoheap_recording_cpu_seconds seconds"));
	CHECK(strcmp(page + strlen(page) - strlen("\n# EOF\n"), "\n# EOF\n") == 0);
	format = METRICS_TEXT;
	write_to_page(&a);
	CHECK(has_line("# TYPE cgoheap_samples_total counter"));
	CHECK(!strstr(page, "# UNIT") && !strstr(page, "# EOF"));
}
CASE(openmetrics_names_families)

static void accept_chooses_the_format(void)
{
	/* As Prometheus 2 and 3 send it, by hand, and broken. */
	static const struct {
		const char *accept;
		enum metrics_format want;
	} cases[] = {
		{NULL, METRICS_TEXT},
		{"*/*", METRICS_TEXT},
		{"", METRICS_TEXT},
		{"application/openmetrics-text", METRICS_OPENMETRICS},
		{"Application/OpenMetrics-Text ; version=1.0.0", METRICS_OPENMETRICS},
		{"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2",
		 METRICS_OPENMETRICS},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
		 "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
		 "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		 METRICS_OPENMETRICS},
		{"text/plain;version=0.0.4,application/openmetrics-text;q=0.9", METRICS_TEXT},
		{"application/openmetrics-text;q=0", METRICS_TEXT},
		{"application/openmetrics-text;q=0.000,text/plain;q=0", METRICS_TEXT},
		{"application/openmetrics-text;version=2.0.0", METRICS_TEXT},
		{"application/openmetrics-text2", METRICS_TEXT},
		{"application/openmetrics-tex", METRICS_TEXT},
		{"application/openmetrics-text;q=1.5", METRICS_TEXT},
		{"application/openmetrics-text;q=0.1234", METRICS_TEXT},
		{"application/openmetrics-text;q=", METRICS_TEXT},
		{",,;;,;q=1,", METRICS_TEXT},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(metrics_format_of(cases[i].accept) == cases[i].want);
}
CASE(accept_chooses_the_format)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners_are_one_family),
		cmocka_unit_test(test_unknown_has_no_line),
		cmocka_unit_test(test_known_has_one),
		cmocka_unit_test(test_a_raised_interval_is_beside_the_one_asked_for),
		cmocka_unit_test(test_well_formed),
		cmocka_unit_test(test_openmetrics_names_families),
		cmocka_unit_test(test_accept_chooses_the_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
