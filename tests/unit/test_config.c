/* The environment variables, and the exact messages about them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "client.h"
#include "config/config.h"
#include "config/log.h"

/* Reads one entry and returns what was printed. */
static const char *read_one(struct config *config, const char *entry)
{
	char *block[] = {"PATH=/bin", (char *)entry, "HOME=/", NULL};
	catch_stderr();
	config_read(config, block, false);
	return caught_stderr();
}

static void assert_defaults(const struct config *c)
{
	static const struct config zero;
	struct config expected = zero;
	expected.sample_bytes = 524288;
	expected.max_memory_bytes = 32 * MIB;
	expected.max_cpu_ppm = 10000;
	assert_memory_equal(c, &expected, sizeof(expected));
}

static void assert_refused(const char *entry, const char *line)
{
	struct config c;
	assert_string_equal(read_one(&c, entry), line);
	assert_defaults(&c);
}

/* ---- values ------------------------------------------------------------- */

static void nothing_set_is_all_defaults_and_silent(void **state)
{
	struct config c;
	char *empty[] = {NULL};
	(void)state;
	catch_stderr();
	config_read(&c, empty, false);
	assert_string_equal(caught_stderr(), "");
	assert_defaults(&c);
	config_read(&c, NULL, false);
	assert_defaults(&c);
}

static void empty_value_is_as_if_not_set(void **state)
{
	static const char *const names[] = {"START",      "SAMPLE_BYTES", "SOCKET",   "LISTEN",
					    "MAX_MEMORY", "MAX_CPU",      "BLACKBOX", "ANY"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char entry[64];
		snprintf(entry, sizeof(entry), "CGOHEAP_%s=", names[i]);
		assert_refused(entry, "");
	}
}

static void good_values_are_taken_without_a_word(void **state)
{
	struct config c;
	char *block[] = {"CGOHEAP_START=dormant",
			 "CGOHEAP_SAMPLE_BYTES=1",
			 "CGOHEAP_SOCKET=run/x.sock",
			 "CGOHEAP_LISTEN=127.0.0.2:6061",
			 "CGOHEAP_MAX_MEMORY=64MiB",
			 "CGOHEAP_ANY=1",
			 "CGOHEAP_FOLLOW_FORK=1",
			 "CGOHEAP_LEAK_CHECK=1",
			 "CGOHEAP_REQUIRED=1",
			 "CGOHEAP_VERBOSE=1",
			 NULL};
	(void)state;
	catch_stderr();
	config_read(&c, block, false);
	assert_string_equal(caught_stderr(), "");
	assert_true(c.start_dormant);
	assert_true(c.follow_fork);
	assert_true(c.leak_check);
	assert_true(c.verbose);
	assert_int_equal(c.sample_bytes, 1);
	assert_string_equal(c.socket_path, "run/x.sock");
	assert_true(c.listen);
	assert_int_equal(c.listen_address, 0x7f000002);
	assert_int_equal(c.listen_port, 6061);
	assert_int_equal(c.max_memory_bytes, 64 * MIB);
	assert_true(c.any_program);
}

static void good_values_that_are_the_default(void **state)
{
	(void)state;
	assert_refused("CGOHEAP_START=sampling", "");
	assert_refused("CGOHEAP_ANY=0", "");
	assert_refused("CGOHEAP_FOLLOW_FORK=0", "");
	assert_refused("CGOHEAP_SAMPLE_BYTES=512KiB", "");
}

static void the_first_of_two_counts(void **state)
{
	struct config c;
	char *block[] = {"CGOHEAP_SAMPLE_BYTES=7", "CGOHEAP_SAMPLE_BYTES=9", NULL};
	(void)state;
	config_read(&c, block, false);
	assert_int_equal(c.sample_bytes, 7);
}

static void listens_on_localhost_and_port_0(void **state)
{
	struct config c;
	(void)state;
	assert_string_equal(read_one(&c, "CGOHEAP_LISTEN=localhost:0"), "");
	assert_true(c.listen);
	assert_int_equal(c.listen_address, 0x7f000001);
	assert_int_equal(c.listen_port, 0);
}

static void bad_values_say_what_is_expected(void **state)
{
	(void)state;
	assert_refused("CGOHEAP_SAMPLE_BYTES=12x",
		       "cgoheap: invalid CGOHEAP_SAMPLE_BYTES \"12x\": expected 1 to 1073741824 "
		       "bytes, e.g. 524288 or 512KiB; using 524288\n");
	assert_refused("CGOHEAP_SAMPLE_BYTES=0",
		       "cgoheap: invalid CGOHEAP_SAMPLE_BYTES \"0\": expected 1 to 1073741824 "
		       "bytes, e.g. 524288 or 512KiB; using 524288\n");
	assert_refused("CGOHEAP_SAMPLE_BYTES=2GiB",
		       "cgoheap: invalid CGOHEAP_SAMPLE_BYTES \"2GiB\": expected 1 to 1073741824 "
		       "bytes, e.g. 524288 or 512KiB; using 524288\n");
	assert_refused("CGOHEAP_MAX_MEMORY=1MiB",
		       "cgoheap: invalid CGOHEAP_MAX_MEMORY \"1MiB\": expected 4194304 to "
		       "1073741824 bytes, e.g. 33554432 or 32MiB; using 33554432\n");
	assert_refused("CGOHEAP_START=on",
		       "cgoheap: invalid CGOHEAP_START \"on\": expected \"sampling\" or "
		       "\"dormant\"; using sampling\n");
	assert_refused("CGOHEAP_ANY=yes",
		       "cgoheap: invalid CGOHEAP_ANY \"yes\": expected 1 or 0; using 0\n");
}

static void addresses_off_loopback_are_refused(void **state)
{
	(void)state;
	assert_refused("CGOHEAP_LISTEN=:6061",
		       "cgoheap: invalid CGOHEAP_LISTEN \":6061\": expected a loopback address, "
		       "e.g. 127.0.0.1:6061; not listening on TCP\n");
	assert_refused("CGOHEAP_LISTEN=0.0.0.0:70",
		       "cgoheap: invalid CGOHEAP_LISTEN \"0.0.0.0:70\": expected a loopback "
		       "address, e.g. 127.0.0.1:70; not listening on TCP\n");
	assert_refused("CGOHEAP_LISTEN=[::1]:70",
		       "cgoheap: invalid CGOHEAP_LISTEN \"[::1]:70\": expected a loopback "
		       "address, e.g. 127.0.0.1:70; not listening on TCP\n");
	assert_refused("CGOHEAP_LISTEN=127.0.0.1.evil.example:70",
		       "cgoheap: invalid CGOHEAP_LISTEN \"127.0.0.1.evil.example:70\": expected a "
		       "loopback address, e.g. 127.0.0.1:70; not listening on TCP\n");
	assert_refused("CGOHEAP_LISTEN=6061",
		       "cgoheap: invalid CGOHEAP_LISTEN \"6061\": expected HOST:PORT, e.g. "
		       "127.0.0.1:6061; not listening on TCP\n");
	assert_refused("CGOHEAP_LISTEN=127.0.0.1:65536",
		       "cgoheap: invalid CGOHEAP_LISTEN \"127.0.0.1:65536\": expected a port from "
		       "0 to 65535, e.g. 127.0.0.1:6061; not listening on TCP\n");
	assert_refused("CGOHEAP_LISTEN=127.0.0.1:",
		       "cgoheap: invalid CGOHEAP_LISTEN \"127.0.0.1:\": expected a port from 0 to "
		       "65535, e.g. 127.0.0.1:6061; not listening on TCP\n");
}

static void loopback_addresses_are_strict(void **state)
{
	static const char *const bad[] = {"127.0.0:1",      "127.0.0.256:1", "127.0.0.1.:1",
					  "127.0.0.0001:1", "127..0.1:1",    " 127.0.0.1:1",
					  "128.0.0.1:1",    "LOCALHOST:1",   "localhost2:1"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct config c;
		char entry[64];
		snprintf(entry, sizeof(entry), "CGOHEAP_LISTEN=%s", bad[i]);
		assert_non_null(strstr(read_one(&c, entry), ": expected a loopback address"));
		assert_false(c.listen);
	}
}

static void longest_socket_path(void **state)
{
	char entry[256];
	struct config c;
	(void)state;
	int n = snprintf(entry, sizeof(entry), "CGOHEAP_SOCKET=/");
	memset(entry + n, 'a', 106);
	entry[n + 106] = '\0';
	assert_string_equal(read_one(&c, entry), "");
	assert_int_equal(strlen(c.socket_path), 107);

	strcat(entry, "a");
	const char *said = read_one(&c, entry);
	assert_non_null(strstr(said, ": expected a path of at most 107 bytes, not 108; using the "
				     "default path\n"));
	assert_defaults(&c);
}

static void runtime_dir_counts_where_it_is_a_place(void **state)
{
	struct config c;
	char long_entry[200] = "XDG_RUNTIME_DIR=/";
	(void)state;
	read_one(&c, "XDG_RUNTIME_DIR=/run/user/7");
	assert_string_equal(c.runtime_dir, "/run/user/7");
	assert_refused("XDG_RUNTIME_DIR=run", "");
	assert_refused("XDG_RUNTIME_DIR=", "");
	memset(long_entry + 17, 'x', 107);
	assert_refused(long_entry, "");
}

static void recorder_is_a_directory_that_fits(void **state)
{
	struct config c;
	(void)state;
	assert_string_equal(read_one(&c, "CGOHEAP_BLACKBOX=/var/tmp"), "");
	assert_string_equal(c.recorder_dir, "/var/tmp");

	char entry[300] = "CGOHEAP_BLACKBOX=", *end = entry + strlen(entry);
	memset(end, 'd', 256);
	assert_non_null(strstr(read_one(&c, entry),
			       ": expected a path of at most 255 bytes, not 256; no recorder\n"));
	assert_string_equal(c.recorder_dir, "");
	end[255] = 0;
	assert_string_equal(read_one(&c, entry), "");
	assert_int_equal(strlen(c.recorder_dir), 255);
}

static void processor_share_is_percent_of_one_core(void **state)
{
	static const struct {
		const char *entry;
		uint32_t ppm;
	} good[] = {
		{"CGOHEAP_MAX_CPU=1", 10000},    {"CGOHEAP_MAX_CPU=0.5%", 5000},
		{"CGOHEAP_MAX_CPU=0.01", 100},   {"CGOHEAP_MAX_CPU=100", 1000000},
		{"CGOHEAP_MAX_CPU=2.75", 27500},
	};
	static const char *const bad[] = {"0",   "100.01", "101", "-1", "1e2",
					  "1 %", "%",      ".5",  "1%%"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct config c;
		assert_string_equal(read_one(&c, good[i].entry), "");
		assert_int_equal(c.max_cpu_ppm, good[i].ppm);
		assert_true(c.max_cpu_given);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char entry[64], line[256];
		snprintf(entry, sizeof(entry), "CGOHEAP_MAX_CPU=%s", bad[i]);
		snprintf(line, sizeof(line),
			 "cgoheap: invalid CGOHEAP_MAX_CPU \"%s\": expected 0.01 to 100 percent "
			 "of one core, e.g. 0.5; using 1\n",
			 bad[i]);
		assert_refused(entry, line);
	}
}

static void unknown_names_are_named(void **state)
{
	static const char known[] =
		": expected one of CGOHEAP_START, CGOHEAP_SAMPLE_BYTES, "
		"CGOHEAP_SOCKET, CGOHEAP_LISTEN, CGOHEAP_MAX_MEMORY, CGOHEAP_MAX_CPU, "
		"CGOHEAP_BLACKBOX, "
		"CGOHEAP_ANY, CGOHEAP_FOLLOW_FORK, CGOHEAP_LEAK_CHECK, CGOHEAP_REQUIRED, "
		"CGOHEAP_VERBOSE; ignoring it\n";
	static const char *const names[] = {"CGOHEAP_SAMPLE_BYTE", "CGOHEAP_SAMPLE_BYTES2",
					    "CGOHEAP_MAX_CPUS", "CGOHEAP_FOLLOW_FORKS", "CGOHEAP_"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char entry[64], line[512];
		snprintf(entry, sizeof(entry), "%s=1", names[i]);
		snprintf(line, sizeof(line), "cgoheap: unknown variable \"%s\"%s", names[i], known);
		assert_refused(entry, line);
	}
	assert_refused("CGOHEAPS=1", "");
	assert_refused("cgoheap_start=1", "");
}

static void quiet_says_nothing_and_takes_good_values(void **state)
{
	struct config c;
	char *block[] = {"CGOHEAP_ANY=1", "CGOHEAP_START=x", "CGOHEAP_FOO=1", "CGOHEAP_BLACKBOX=/b",
			 NULL};
	(void)state;
	catch_stderr();
	config_read(&c, block, true);
	assert_string_equal(caught_stderr(), "");
	assert_true(c.any_program);
	assert_false(c.start_dormant);
}

/* ---- the line itself ---------------------------------------------------- */

static void no_value_reaches_the_terminal_raw(void **state)
{
	(void)state;
	assert_refused(
		"CGOHEAP_START=\x1b[31m\n\"\\\x9b\x7f",
		"cgoheap: invalid CGOHEAP_START \"\\x1b[31m\\x0a\\\"\\\\\\x9b\\x7f\": expected "
		"\"sampling\" or \"dormant\"; using sampling\n");
	/* a name too */
	struct config c;
	assert_non_null(strstr(read_one(&c, "CGOHEAP_\x1b]0;x\x07=1"),
			       "unknown variable \"CGOHEAP_\\x1b]0;x\\x07\": "));
}

static void long_values_are_cut_and_the_remedy_is_not(void **state)
{
	char entry[5000] = "CGOHEAP_START=";
	struct config c;
	(void)state;
	for (int control = 0; control < 2; control++) {
		memset(entry + 14, control ? 1 : 'x', 4000);
		const char *said = read_one(&c, entry);
		assert_in_range(strlen(said), 100, 512);
		assert_non_null(strstr(said, "...\": expected \"sampling\" or \"dormant\"; "
					     "using sampling\n"));
	}
}

static void a_line_is_cut_at_512_bytes(void **state)
{
	char text[2000];
	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	catch_stderr();
	errno = 77;
	log_complain("%s", text);
	assert_int_equal(errno, 77);
	const char *said = caught_stderr();
	assert_int_equal(strlen(said), 512);
	assert_int_equal(said[511], '\n');
}

/* SIGPIPE at its default would end this program; a blocking write would hang it. */
static void broken_or_full_stderr_is_harmless(void **state)
{
	int ends[2], saved = dup(2);
	(void)state;
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], "x", 1) == 1)
		;
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	dup2(ends[1], 2);
	log_complain("into a full pipe");
	close(ends[0]);
	log_complain("into a broken pipe");
	close(2);
	log_complain("into nothing");
	dup2(saved, 2);
	close(saved);
	close(ends[1]);
}

/* ---- sizes and durations ------------------------------------------------ */

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"524288", 524288},
		{"512KiB", 524288},
		{"512K", 524288},
		{"512kb", 524288},
		{"512Ki", 524288},
		{"1MiB", MIB},
		{"2M", 2 * MIB},
		{"3GB", 3072 * MIB},
		{"1G", 1024 * MIB},
		{"7B", 7},
		{"18446744073709551615", UINT64_MAX},
		{"17179869183GiB", UINT64_C(17179869183) << 30},
	};
	static const char *const bad[] = {"",
					  "K",
					  "-1",
					  "+1",
					  " 1",
					  "1 ",
					  "1KK",
					  "1KiBs",
					  "1T",
					  "0x10",
					  "1.5M",
					  "1e6",
					  "Mi",
					  "1iB",
					  "18446744073709551616",
					  "17179869184GiB"};
	uint64_t bytes;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(config_parse_bytes(good[i].text, &bytes) == 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (config_parse_bytes(bad[i], &bytes) == 0)
			fail_msg("\"%s\" was taken for a size", bad[i]);
}

#define S UINT64_C(1000000000)
static void durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"0", 0},
		{"30", 30 * S},
		{"1.5", 3 * S / 2},
		{"90s", 90 * S},
		{"10m", 600 * S},
		{"1h30m", 5400 * S},
		{"1h0m0.5s", 3600 * S + S / 2},
		{"250ms", S / 4},
		{"1.5h", 5400 * S},
		{"7us", 7000},
		{"7\xc2\xb5s", 7000},
		{"7\xce\xbcs", 7000},
		{"12ns", 12},
		{"0.1234567899999s", 123456789},
		{"2562047h47m16.854775807s", INT64_MAX},
	};
	static const char *const bad[] = {"",           "s",
					  "-1s",        "+1s",
					  " 1s",        "1s ",
					  "1x",         "1h30",
					  "1.",         ".5s",
					  "1.s",        "1d",
					  "1S",         "1h 30m",
					  "1m.",        "2562047h47m16.854775808s",
					  "9223372037", "99999999999999999999s"};
	uint64_t ns;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(config_parse_duration(good[i].text, &ns) == 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (config_parse_duration(bad[i], &ns) == 0)
			fail_msg("\"%s\" was taken for a duration", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_set_is_all_defaults_and_silent),
		cmocka_unit_test(empty_value_is_as_if_not_set),
		cmocka_unit_test(good_values_are_taken_without_a_word),
		cmocka_unit_test(good_values_that_are_the_default),
		cmocka_unit_test(the_first_of_two_counts),
		cmocka_unit_test(listens_on_localhost_and_port_0),
		cmocka_unit_test(bad_values_say_what_is_expected),
		cmocka_unit_test(addresses_off_loopback_are_refused),
		cmocka_unit_test(loopback_addresses_are_strict),
		cmocka_unit_test(longest_socket_path),
		cmocka_unit_test(runtime_dir_counts_where_it_is_a_place),
		cmocka_unit_test(recorder_is_a_directory_that_fits),
		cmocka_unit_test(processor_share_is_percent_of_one_core),
		cmocka_unit_test(unknown_names_are_named),
		cmocka_unit_test(quiet_says_nothing_and_takes_good_values),
		cmocka_unit_test(no_value_reaches_the_terminal_raw),
		cmocka_unit_test(long_values_are_cut_and_the_remedy_is_not),
		cmocka_unit_test(a_line_is_cut_at_512_bytes),
		cmocka_unit_test(broken_or_full_stderr_is_harmless),
		cmocka_unit_test(sizes),
		cmocka_unit_test(durations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
