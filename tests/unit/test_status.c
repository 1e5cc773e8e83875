/*
 * The status page exactly, where its figures can be set; the comments of profiles; and the text
 * code behind both.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kept.h"
#include "base/state.h"
#include "region/region.h"
#include "text/text.h"
#include "unwind/capture.h"
#include "record/control.h"
#include "record/labelsets.h"
#include "record/stacks.h"
#include "hook/malloc_slow.h"
#include "hook/real.h"
#include "account/allocator.h"
#include "serve/status.h"

/* A sanitizer has its own malloc. */
static const char *allocator_expected(void)
{
#ifdef __SANITIZE_ADDRESS__
	assert_int_equal(strncmp(allocator_name(), "libasan", 7), 0);
	return allocator_name();
#else
	return "glibc";
#endif
}

static const char *status_json(void)
{
	static struct kept b;
	free(b.bytes);
	kept_init(&b, SIZE_MAX);
	assert_int_equal(status_write_json(&b.sink), 0);
	return (const char *)b.bytes;
}

/* ---- before there is a region ----------------------------------------- */

static void test_unknown_is_null(void **state)
{
	(void)state;
	shim_state = SHIM_PASSIVE;
	const char *s = status_json();
	shim_state = SHIM_ACTIVE;
	static const char *const parts[] = {
		"\"state\":\"passive\"",
		"\"uptime_ns\":null,\"start_time\":null",
		"\"live\":null",
		"\"distinct\":null,\"sites\":null",
		"\"cohorts\":{\"marks\":null,\"stacks\":null,\"max_stacks\":null,",
		"\"memory\":{\"resident_bytes\":null,\"requests_peak_bytes\":null,\"max_bytes\":"
		"null}",
		"\"go_version\":null",
		"\"socket\":null,\"listening_retried\":false,\"tcp_port\":null,"
		"\"go_package\":{\"version\":null,\"missed\":0}}\n",
	};
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (!strstr(s, parts[i]))
			fail_msg("no %s in %s", parts[i], s);
}

static void test_region(void **state)
{
	(void)state;
	assert_int_equal(region_init(32 * MIB), 0);
}

/* ---- the page --------------------------------------------------------- */

static void set_figures(void)
{
	slow_samples = 1234;
	slow_drops = (struct slow_drops){.live_full = 1, .reentered = 3, .stale = 4, .no_stack = 5};
	for (uint32_t i = 0; i < CAPTURE_WALK_ENDS; i++)
		slow_ends[i] = 100 + i;
	struct capture c = {.count = 1, .frames = {0x1001}};
	assert_int_not_equal(stacks_site(&c, 8, ORIGIN_MALLOC), 0);
	assert_int_not_equal(stacks_site(&c, 9, ORIGIN_MALLOC), 0);
}

static void test_whole_page(void **state)
{
	char expected[4096], executable[512];
	uint64_t on, uptime, resident;
	(void)state;
	set_figures();
	control_init(&(struct control_start){.sample_bytes = 524288});
	region_layout.start_realtime_ns = UINT64_C(1700000000123456789);
	const char *s = status_json();

	ssize_t n = readlink("/proc/self/exe", executable, sizeof(executable) - 1);
	executable[n] = 0;
	assert_int_equal(sscanf(strstr(s, "\"on_ns\":"), "\"on_ns\":%" SCNu64, &on), 1);
	assert_int_equal(sscanf(strstr(s, "\"uptime_ns\":"), "\"uptime_ns\":%" SCNu64, &uptime), 1);
	assert_int_equal(
		sscanf(strstr(s, "\"resident_bytes\":"), "\"resident_bytes\":%" SCNu64, &resident),
		1);
	assert_true(uptime > 0 && uptime < UINT64_C(3600000000000));
	assert_true(resident > 0 && resident <= 32 * MIB);
	snprintf(expected, sizeof(expected),
		 "{\"version\":\"%s\",\"pid\":%d,\"state\":\"sampling\",\"seccomp\":\"unknown\","
		 "\"sample_bytes\":524288,"
		 "\"configured_sample_bytes\":524288,"
		 "\"sampling_remaining_ns\":null,\"on_ns\":%" PRIu64
		 ",\"off_ns\":0,\"uptime_ns\":%" PRIu64
		 ",\"start_time\":\"2023-11-14T22:13:20.123456789Z\","
		 "\"samples\":{\"taken\":1234,\"live\":0},"
		 "\"dropped\":{\"live_full\":1,\"reentered\":3,\"no_stack\":5,"
		 "\"stale\":4,"
		 "\"labels\":0},\"missed_frees\":{\"count\":4,\"bytes\":0},"
		 "\"who_frees\":{\"captured\":0,\"no_stack\":0,\"no_room\":0,\"sites\":0,"
		 "\"one_in\":64},"
		 "\"stacks\":{\"distinct\":1,\"sites\":2,\"complete\":201,\"truncated\":954,"
		 "\"by_end\":{\"complete_go\":100,\"complete_thread\":101,\"too_deep\":102,"
		 "\"no_cfi\":103,\"bad_cfi\":104,\"bad_stack\":105,\"bad_crossing\":106,"
		 "\"bad_go\":107,\"unwinder\":108,\"skipped\":109,\"gap\":110},\"no_room\":0,"
		 "\"reclaimed\":0},"
		 "\"goroutine_labels\":null,\"label_sets\":{\"distinct\":0,\"truncated\":0},"
		 "\"cohorts\":{\"marks\":0,\"stacks\":0,\"max_stacks\":1728,\"without\":0,"
		 "\"evicted\":0},"
		 "\"ledger\":{\"ranges\":0,\"refused\":0,\"interrupted\":0,\"uncaptured\":0},"
		 "\"memory\":{\"resident_bytes\":%" PRIu64
		 ",\"requests_peak_bytes\":%zu,\"max_bytes\":33554432},"
		 "\"threads\":0,\"threads_missed\":0,"
		 "\"overhead\":{\"cpu_ratio\":0.000000,\"max_cpu_ratio\":null,"
		 "\"free_cpu_ratio\":0.000000,\"cpu_ns\":0,"
		 "\"raised_for\":null,\"at_coarsest\":false,\"unbounded\":false},"
		 "\"host\":{\"go_version\":null,\"go_modules_missed\":0,\"allocator\":\"%s\","
		 "\"executable\":\"%s\","
		 "\"unknown_functions\":null},"
		 "\"socket\":null,\"listening_retried\":false,\"tcp_port\":null,"
		 "\"go_package\":{\"version\":null,\"missed\":0}}\n",
		 CGOHEAP_VERSION, getpid(), on, uptime, resident, region_scratch_peak_bytes(),
		 allocator_expected(), executable);
	assert_string_equal(s, expected);
}

static void test_states(void **state)
{
	uint64_t remaining;
	(void)state;
	control_sampling(true, 1, UINT64_C(600000000000));
	const char *s = strstr(status_json(), "\"state\":");
	assert_int_equal(sscanf(s,
				"\"state\":\"sampling\",\"seccomp\":\"unknown\",\"sample_bytes\":1,"
				"\"configured_sample_bytes\":1,"
				"\"sampling_remaining_ns\":%" SCNu64,
				&remaining),
			 1);
	assert_true(remaining > 0 && remaining <= UINT64_C(600000000000));
	assert_non_null(strstr(s, "\"unbounded\":false"));
	control_sampling(true, 1, 0);
	assert_non_null(strstr(status_json(), "\"unbounded\":true"));
	control_sampling(false, 0, 0);
	assert_non_null(strstr(status_json(),
			       "\"state\":\"dormant\",\"seccomp\":\"unknown\",\"sample_bytes\":1,"
			       "\"configured_sample_bytes\":1,"
			       "\"sampling_remaining_ns\":null"));
	control_sampling(true, 524288, 0);
}

/* Compared with the C library's calendar, which the shim must not call. */
static void test_start_times(void **state)
{
	static const uint64_t days[] = {0,     58,    59,    11015, 11016, 11017, 18321, 18322,
					19722, 19723, 20512, 47540, 47541, 47542, 84057};
	uint64_t kept = region_layout.start_realtime_ns;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(days); i++) {
		time_t seconds = (time_t)(days[i] * 86400 + 3661 * (i + 1));
		char expected[96];
		struct tm tm;
		region_layout.start_realtime_ns = (uint64_t)seconds * UINT64_C(1000000000) + i;
		gmtime_r(&seconds, &tm);
		size_t n = strftime(expected, sizeof(expected),
				    "\"start_time\":\"%Y-%m-%dT%H:%M:%S.", &tm);
		snprintf(expected + n, sizeof(expected) - n, "%09zuZ\",", i);
		const char *s = status_json();
		if (!strstr(s, expected))
			fail_msg("no %s in %s", expected, s);
	}
	region_layout.start_realtime_ns = kept;
}

static void test_failing_sink(void **state)
{
	(void)state;
	for (size_t limit = 0; limit < 100; limit += 33) {
		struct kept b;
		kept_init(&b, limit);
		assert_int_equal(status_write_json(&b.sink), -1);
		free(b.bytes);
	}
}

static void test_allocator(void **state)
{
	(void)state;
	assert_string_equal(allocator_name(), allocator_expected());
}

/* ---- comments --------------------------------------------------------- */

/* Which process it is, that all profiles say. */
static const char *own_process(void)
{
	static char line[64];
	snprintf(line, sizeof(line), "process %d, started 2023-11-14T22:13:20.123456789Z",
		 getpid());
	return line;
}

static void check_comments(const char *const expected[])
{
	struct scratch scratch = SCRATCH_INIT(MIB);
	const char *const *c = status_comments(&scratch);
	size_t i;
	assert_non_null(c);
	for (i = 0; c[i] && expected[i]; i++)
		assert_string_equal(c[i], expected[i]);
	if (c[i] || expected[i])
		fail_msg("comment %zu is %s, expected %s", i, c[i], expected[i]);
	scratch_release(&scratch);
}

static void test_comments(void **state)
{
	(void)state;
	check_comments((const char *[]){
		"cgoheap " CGOHEAP_VERSION, own_process(), "state: sampling",
		"sampled every 524288 bytes on average",
		"1 blocks dropped, no room for them (live_full); raise CGOHEAP_MAX_MEMORY",
		"3 calls missed, made while their thread was inside the library (reentered)",
		"5 calls missed, no recording stack left (no_stack)",
		"4 frees missed, found when the address was used again (stale)",
		"incomplete stacks: 954 of 1155 (too_deep 102, no_cfi 103, bad_cfi 104, bad_stack "
		"105, "
		"bad_crossing 106, bad_go 107, unwinder 108, skipped 109, gap 110)",
		NULL});
}

static void test_comments_of_a_good_run(void **state)
{
	(void)state;
	slow_drops = (struct slow_drops){0};
	for (uint32_t i = 0; i < CAPTURE_WALK_ENDS; i++)
		slow_ends[i] = capture_end_is_complete(i) ? 50 : 0;
	control_sampling(false, 1, 0);
	check_comments((const char *[]){"cgoheap " CGOHEAP_VERSION, own_process(), "state: dormant",
					"every allocation", NULL});
	control_sampling(true, 524288, 0);
	slow_ends[CAPTURE_NO_CFI] = 1;
	check_comments((const char *[]){"cgoheap " CGOHEAP_VERSION, own_process(),
					"state: sampling", "sampled every 524288 bytes on average",
					"incomplete stacks: 1 of 101 (no_cfi 1)", NULL});
}

static void test_comments_on_labels(void **state)
{
	(void)state;
	slow_ends[CAPTURE_NO_CFI] = 0;
	labelsets_count_dropped();
	check_comments(
		(const char *[]){"cgoheap " CGOHEAP_VERSION, own_process(), "state: sampling",
				 "sampled every 524288 bytes on average",
				 "1 samples recorded without their goroutine labels, because "
				 "there are too many (labels)",
				 NULL});
	assert_non_null(strstr(status_json(), "\"stale\":0,\"labels\":1}"));
}

static void test_comments_without_memory(void **state)
{
	struct scratch scratch = SCRATCH_INIT(16);
	(void)state;
	assert_null(status_comments(&scratch));
	scratch_release(&scratch);
}

/* ---- text ------------------------------------------------------------- */

static void check_json_string(const char *s, const char *expected)
{
	struct kept b;
	struct text t;
	kept_init(&b, SIZE_MAX);
	text_init(&t, &b.sink);
	text_json_string(&t, s);
	assert_int_equal(text_flush(&t), 0);
	assert_string_equal((const char *)b.bytes, expected);
	free(b.bytes);
}

static void test_json_strings(void **state)
{
	(void)state;
	check_json_string(NULL, "null");
	check_json_string("", "null");
	check_json_string("/a b/c", "\"/a b/c\"");
	check_json_string("a\"b\\c", "\"a\\\"b\\\\c\"");
	check_json_string("\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\x7f\"");
	check_json_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
			  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
	check_json_string("\xff x \xc3", "\"\\ufffd x \\ufffd\"");
	check_json_string("\xc0\x80", "\"\\ufffd\\ufffd\"");            /* overlong */
	check_json_string("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
	check_json_string("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

/* Text longer than the buffer is complete; only a printed line is cut. */
static void test_long_text(void **state)
{
	static char long_one[TEXT_BUFFER_BYTES + 100];
	struct kept b;
	struct text t;
	(void)state;
	memset(long_one, 'x', sizeof(long_one) - 1);
	kept_init(&b, SIZE_MAX);
	text_init(&t, &b.sink);
	text_string(&t, long_one);
	text_printf(&t, "%s", long_one);
	text_string(&t, "end");
	assert_int_equal(text_flush(&t), 0);
	assert_int_equal(b.count, sizeof(long_one) - 1 + TEXT_PRINTF_BYTES - 1 + 3);
	assert_string_equal((const char *)b.bytes + b.count - 4, "xend");
	free(b.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_is_null),
		cmocka_unit_test(test_region),
		cmocka_unit_test(test_whole_page),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_start_times),
		cmocka_unit_test(test_failing_sink),
		cmocka_unit_test(test_allocator),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_comments_of_a_good_run),
		cmocka_unit_test(test_comments_on_labels),
		cmocka_unit_test(test_comments_without_memory),
		cmocka_unit_test(test_json_strings),
		cmocka_unit_test(test_long_text),
	};
	real_resolve(); /* as the constructor does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
