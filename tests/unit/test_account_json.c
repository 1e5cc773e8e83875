/* /v1/account exactly: unknown figures are null. */
#include "child.h"
#include "kept.h"

#include <stdlib.h>
#include <string.h>

#include "record/control.h"
#include "record/stacks.h"
#include "profile/account_json.h"

static struct kept kept;
static char *page;

static void write_account(const struct account *a, const struct account_parts *parts)
{
	struct scratch s = SCRATCH_INIT(2 * MIB);
	struct json j;
	free(kept.bytes);
	kept_init(&kept, SIZE_MAX);
	json_init(&j, &kept.sink);
	account_json_write(&j, NULL, &s, a, parts);
	CHECK(json_finish(&j) == 0);
	page = (char *)kept.bytes;
	scratch_release(&s);
}

static void begin(void)
{
	CHECK(region_init(8 * MIB) == 0);
	control_init(&(struct control_start){.sample_bytes = 4096});
}

static void says(const char *text)
{
	if (!strstr(page, text)) {
		fprintf(stderr, "not there: %s\n%s\n", text, page);
		_exit(1);
	}
}

static void nothing_known(void)
{
	struct account a = {.time_ns = UINT64_C(1700000000123456789)};
	struct account_parts none = {0};
	begin();
	for (unsigned i = 0; i < OWNER_COUNT; i++)
		a.owners[i].mapped = UNKNOWN;
	memset(&a.allocator, 0xff, sizeof(a.allocator));
	a.allocator.name = "";
	memset(&a.kept, 0xff, sizeof(a.kept));
	memset(&a.go, 0xff, sizeof(a.go));
	a.go.source = "";
	memset(&a.process, 0xff, sizeof(a.process));
	memset(&a.cgroup, 0xff, sizeof(a.cgroup));
	a.cgroup.version = 0;
	a.cgroup.path[0] = 0;
	a.c_live_estimate_bytes = a.c_live_estimate_error = a.c_blocks_touched_permille = UNKNOWN;
	a.debt = (struct debt){UNKNOWN, UNKNOWN, UNKNOWN};
	a.c_peak.bytes = a.rss_peak.bytes = a.c_in_use_now_bytes = UNKNOWN;
	write_account(&a, &none);
	says("{\"rss_bytes\":0,\"owners\":[{\"name\":\"go_heap\",\"bytes\":null,\"exact\":false,"
	     "\"huge_bytes\":null,\"lazy_free_bytes\":null,\"swap_bytes\":null,"
	     "\"mapped_bytes\":null},{\"name\":\"go_stacks\",");
	says("\"mapped_bytes\":null}],\"unexplained_bytes\":0,\"took_ns\":0,"
	     "\"time\":\"2023-11-14T22:13:20.123456789Z\","
	     "\"allocator\":{\"name\":null,\"in_use_bytes\":null,\"free_bytes\":null,"
	     "\"mapped_bytes\":null,\"system_bytes\":null,\"cached_bytes\":null,\"arenas\":null,"
	     "\"nanoseconds\":null},\"private_allocators\":[],\"c_retained_kept\":{\"returnable_"
	     "bytes\":null,"
	     "\"arena_ends_bytes\":null,\"arena_ends\":null,\"cached_bytes\":null,"
	     "\"pinned_bytes\":null,\"pinned_by\":null},"
	     "\"c_live_estimate\":{\"bytes\":null,\"standard_error_bytes\":null,"
	     "\"sample_bytes\":4096},\"c_blocks_resident_ratio\":null,"
	     "\"finalizer_debt_bytes\":null,\"finalizer_debt_survived_bytes\":null,"
	     "\"finalizer_debt_new_bytes\":null,"
	     "\"peak\":{\"c_in_use_bytes\":null,\"c_in_use_at\":null,\"c_in_use_now_bytes\":null,"
	     "\"rss_bytes\":null,\"rss_at\":null},"
	     "\"go\":{\"source\":null,\"heap_in_use_bytes\":null,\"heap_free_bytes\":null,"
	     "\"heap_released_bytes\":null,\"stacks_bytes\":null,\"mapped_ready_bytes\":null,"
	     "\"total_alloc_bytes\":null,\"metadata_bytes\":null,\"heap_objects_bytes\":null,"
	     "\"heap_live_bytes\":null,\"heap_dead_or_new_bytes\":null,"
	     "\"heap_unused_bytes\":null,\"gc_goal_bytes\":null,\"memory_limit_bytes\":null,"
	     "\"goroutines\":null,\"last_gc_time\":null,\"last_gc\":null,\"gc_cycles\":null,"
	     "\"heap_goal_bytes\":null,\"heap_now_bytes\":null,\"gc_percent\":null,"
	     "\"finalizers_waiting\":null,\"cleanups_waiting\":null,"
	     "\"finalizer_running\":null,\"runtime_metrics\":{"
	     "\"/memory/classes/heap/free:bytes\":null,");
	says("\"/sched/goroutines:goroutines\":null}},\"process\":{\"vm_rss_bytes\":null,");
	says("\"threads\":null},\"cgroup\":{\"version\":null,\"path\":null,\"current_bytes\":null,"
	     "\"limit_bytes\":null,\"anon_bytes\":null,\"file_bytes\":null,\"kernel_bytes\":null,"
	     "\"swap_bytes\":null},\"mappings\":0,\"split_mappings\":0,\"thread_stacks\":0,"
	     "\"thread_stacks_ended\":0,\"thread_stacks_ended_bytes\":0,"
	     "\"c_mmap_top\":[],\"mapped_top\":[],"
	     "\"untracked_candidates\":{\"looks\":0,\"in_cgo_calls\":[]},\"partial\":false,"
	     "\"warnings\":[]}\n");
}
CASE(nothing_known)

static void all_known(void)
{
	struct account a = {.rss_bytes = 77, .unexplained_bytes = 1, .mappings = 3};
	struct account_parts none = {0};
	begin();
	a.owners[OWNER_C_MMAP] = (struct account_bytes){.resident = 76,
							.huge = 5,
							.lazy_free = 4,
							.swapped = 3,
							.mapped = 90,
							.known = true,
							.exact = true};
	a.allocator = (struct allocator_stats){.name = "glibc", .in_use_bytes = 12, .arenas = 37};
	a.c_blocks_touched_permille = 59;
	a.debt = (struct debt){900, 0, 800};
	a.c_peak = (struct account_peak){70, 1500000000};
	a.rss_peak = (struct account_peak){90, 2000000000};
	a.c_in_use_now_bytes = 60;
	a.go.source = "runtime.gcController";
	for (uint64_t i = 0; i < CGOHEAP_GO_FIGURES; i++)
		a.go.runtime[i] = 100 + i;
	a.go.runtime[CGOHEAP_GO_HEAP_LIVE] = 60;
	a.go.gc = (struct gogc){.cycles = 12,
				.ended_unix_ns = UINT64_C(1700000000123456789),
				.goal_bytes = 115,
				.heap_bytes = 90,
				.memory_limit = UNKNOWN,
				.percent = GOGC_OFF,
				.finalizers_waiting = 3,
				.cleanups_waiting = UNKNOWN,
				.is_finalizing = 1};
	a.go.metadata_bytes = 7;
	a.cgroup.version = 2;
	strcpy(a.cgroup.path, "/a \"b\"");
	a.cgroup.limit = UNKNOWN;
	a.warnings[0] = "one";
	a.warnings[1] = "two";
	write_account(&a, &none);
	says("{\"rss_bytes\":77,");
	says("{\"name\":\"c_mmap\",\"bytes\":76,\"exact\":true,\"huge_bytes\":5,"
	     "\"lazy_free_bytes\":4,\"swap_bytes\":3,\"mapped_bytes\":90}");
	says("\"allocator\":{\"name\":\"glibc\",\"in_use_bytes\":12,");
	says("\"arenas\":37,");
	says("\"c_blocks_resident_ratio\":0.059,\"finalizer_debt_bytes\":900,"
	     "\"finalizer_debt_survived_bytes\":0,\"finalizer_debt_new_bytes\":800,");
	says("\"peak\":{\"c_in_use_bytes\":70,\"c_in_use_at\":\"1970-01-01T00:00:01.500000000Z\","
	     "\"c_in_use_now_bytes\":60,\"rss_bytes\":90,"
	     "\"rss_at\":\"1970-01-01T00:00:02.000000000Z\"},");
	says("\"source\":\"runtime.gcController\",\"heap_in_use_bytes\":0,");
	says("\"metadata_bytes\":7,\"heap_objects_bytes\":101,\"heap_live_bytes\":60,"
	     "\"heap_dead_or_new_bytes\":41,\"heap_unused_bytes\":104,\"gc_goal_bytes\":115,"
	     "\"memory_limit_bytes\":null,\"goroutines\":118,"
	     "\"last_gc_time\":\"2023-11-14T22:13:20.123456789Z\","
	     "\"last_gc\":\"2023-11-14T22:13:20.123456789Z\",\"gc_cycles\":12,"
	     "\"heap_goal_bytes\":115,\"heap_now_bytes\":90,\"gc_percent\":-1,"
	     "\"finalizers_waiting\":3,\"cleanups_waiting\":null,"
	     "\"finalizer_running\":true,\"runtime_metrics\":{"
	     "\"/memory/classes/heap/free:bytes\":100,\"/memory/classes/heap/objects:bytes\":101,"
	     "\"/memory/classes/heap/released:bytes\":102,"
	     "\"/memory/classes/heap/stacks:bytes\":103,"
	     "\"/memory/classes/heap/unused:bytes\":104,"
	     "\"/memory/classes/metadata/mcache/free:bytes\":105,"
	     "\"/memory/classes/metadata/mcache/inuse:bytes\":106,"
	     "\"/memory/classes/metadata/mspan/free:bytes\":107,"
	     "\"/memory/classes/metadata/mspan/inuse:bytes\":108,"
	     "\"/memory/classes/metadata/other:bytes\":109,"
	     "\"/memory/classes/os-stacks:bytes\":110,\"/memory/classes/other:bytes\":111,"
	     "\"/memory/classes/profiling/buckets:bytes\":112,"
	     "\"/memory/classes/total:bytes\":113,\"/gc/heap/live:bytes\":60,"
	     "\"/gc/heap/goal:bytes\":115,\"/gc/heap/allocs:bytes\":116,"
	     "\"/gc/gomemlimit:bytes\":117,\"/sched/goroutines:goroutines\":118}}");
	says("\"cgroup\":{\"version\":2,\"path\":\"/a \\\"b\\\"\",\"current_bytes\":0,"
	     "\"limit_bytes\":null,");
	says("\"warnings\":[\"one\",\"two\"]}\n");
}
CASE(all_known)

/* The ten largest by resident bytes, with parts of one site merged and names from the symbols. */
static void top(void)
{
	struct account_part list[40];
	struct account_parts parts = {.list = list};
	struct account a = {.rss_bytes = 1};
	begin();
	for (uint64_t i = 0; i < 36; i++) {
		struct capture c = {.count = 2, .frames = {(uint64_t)top + 1, i % 12 + 1}};
		uint32_t site = stacks_site(&c, 4096, ORIGIN_MMAP);
		list[parts.count++] = (struct account_part){.start = i << 20,
							    .end = (i + 1) << 20,
							    .resident = 1000 * (i % 12),
							    .site = site,
							    .owner = OWNER_C_MMAP};
	}
	list[parts.count++] = (struct account_part){
		.start = 50 << 20, .end = 51 << 20, .resident = 500000, .owner = OWNER_C_MMAP};
	list[parts.count++] = (struct account_part){.start = 60 << 20,
						    .end = 61 << 20,
						    .resident = 900000,
						    .owner = OWNER_UNTRACKED_MMAP};
	const char *files[] = {"", "/a file"};
	parts.files = files;
	parts.file_count = COUNT_OF(files);
	list[parts.count++] = (struct account_part){.start = 70 << 20,
						    .end = 71 << 20,
						    .resident = 800000,
						    .site = list[1].site,
						    .owner = OWNER_FILE_COPIES,
						    .file = 1};
	write_account(&a, &parts);
	says("\"c_mmap_top\":[{\"bytes\":500000,\"mapped_bytes\":1048576,\"frames\":[]},"
	     "{\"bytes\":33000,\"mapped_bytes\":3145728,\"frames\":[\"top\",\"(unknown)\"]},"
	     "{\"bytes\":30000,");
	says("{\"bytes\":9000,\"mapped_bytes\":3145728,\"frames\":[\"top\",\"(unknown)\"]}],"
	     "\"mapped_top\":[{\"owner\":\"file_copies\",\"file\":\"/a file\",\"bytes\":800000,"
	     "\"mapped_bytes\":1048576,\"frames\":[\"top\",\"(unknown)\"]}],"
	     "\"untracked_candidates\":");
	CHECK(!strstr(page, "\"bytes\":6000,"));
}
CASE(top)

/* The two sizes of one stack are one entry; a site that is gone is none. */
static void pinned_by(void)
{
	begin();
	struct capture one = {.count = 1, .frames = {(uint64_t)pinned_by + 1}};
	struct capture two = {.count = 1, .frames = {2}};
	uint32_t sites[] = {stacks_site(&one, 64, ORIGIN_MALLOC),
			    stacks_site(&one, 96, ORIGIN_MALLOC),
			    stacks_site(&two, 64, ORIGIN_MALLOC), 0};
	struct account a = {.kept.pinned = 1000};
	struct pinned p = {.method = PINNED_BY_SIZES,
			   .is_partial = true,
			   .sum = {.bytes = 900, .variance = 100, .blocks = 9, .block_bytes = 700},
			   .count = COUNT_OF(sites)};
	struct account_parts parts = {.pinned = &p};
	for (size_t i = 0; i < COUNT_OF(sites); i++)
		p.sites[i] = (struct pinned_site){.site = sites[i],
						  .stack = sites[i] ? site_at(sites[i])->stack : 1,
						  .bytes = 100.0 * (double)(i + 1),
						  .variance = 8,
						  .blocks = 1.5,
						  .block_bytes = 96};
	write_account(&a, &parts);
	says("\"pinned_bytes\":1000,\"pinned_by\":{\"method\":\"sizes\",\"bytes\":900,"
	     "\"standard_error_bytes\":10,\"blocks\":9,\"block_bytes\":700,\"partial\":true,"
	     "\"stacks\":[");
	says("{\"bytes\":300,\"standard_error_bytes\":4,\"blocks\":3,\"block_bytes\":192,"
	     "\"frames\":[\"pinned_by\"]}");
	says("{\"bytes\":300,\"standard_error_bytes\":2,\"blocks\":2,\"block_bytes\":96,"
	     "\"frames\":[\"(unknown)\"]}");
	CHECK(!strstr(page, "{\"bytes\":400"));
}
CASE(pinned_by)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_all_known),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_pinned_by),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
