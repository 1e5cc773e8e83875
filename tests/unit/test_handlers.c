/* What clients receive, whatever they send and however: over real sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "client.h"
#include "testclock.h"

#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/state.h"
#include "region/region.h"
#include "go/bridge.h"
#include "record/control.h"
#include "record/peak.h"
#include "record/sample.h"
#include "record/stacks.h"
#include "hook/real.h"
#include "serve/connection.h"
#include "serve/handlers.h"
#include "serve/server.h"

static char base[64];

/* Enough stacks that their text fills a socket's buffer more than once. */
static void record_stacks(void)
{
	for (uint64_t i = 0; i < 3000; i++) {
		struct capture c = {.count = 12, .end = CAPTURE_COMPLETE_GO};
		for (uint64_t f = 0; f < c.count; f++)
			c.frames[f] = 0x7000000000 + f * 64 + (i >> f & 1);
		uint32_t site = stacks_site(&c, 100, ORIGIN_MALLOC);
		assert_int_not_equal(site, 0);
		site_add_alloc(site_at(site), sample_weight(100, 1));
	}
}

static int start_server(void **state)
{
	struct config c = {.sample_bytes = 524288,
			   .max_memory_bytes = 64 * MIB, /* room for eight large answers */
			   .listen = true,
			   .listen_address = INADDR_LOOPBACK};
	(void)state;
	strcpy(base, "/tmp/cgoheap-test-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(c.socket_path, sizeof(c.socket_path), "%s/a.sock", base);
	real_resolve();
	assert_int_equal(region_init(c.max_memory_bytes), 0);
	control_init(&(struct control_start){.sample_bytes = c.sample_bytes});
	record_stacks();
	assert_int_equal(server_bind(&c), 0);
	return server_start();
}

static int remove_base(void **state)
{
	(void)state;
	unlink(server_socket_path());
	return rmdir(base);
}

/* ---- asking ------------------------------------------------------------- */

static int dial(void)
{
	int fd = connect_unix(server_socket_path());
	assert_true(fd >= 0);
	return fd;
}

static int dial_tcp(void)
{
	int fd = connect_tcp(server_tcp_port());
	assert_true(fd >= 0);
	return fd;
}

static struct response request(const char *method, const char *target)
{
	char text[1024];
	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: cgoheap\r\n\r\n", method, target);
	return ask(dial(), text);
}

static void assert_answer(struct response r, int status, const char *body)
{
	assert_int_equal(r.status, status);
	assert_string_equal(r.body, body);
	free(r.bytes);
}

static void assert_get(const char *target, int status, const char *body)
{
	assert_answer(request("GET", target), status, body);
}

static void assert_header(const struct response *r, const char *line)
{
	if (strstr(r->head, line) == NULL)
		fail_msg("no \"%s\" in \"%s\"", line, r->head);
}

static void assert_length_is_right(const struct response *r)
{
	char line[64];
	snprintf(line, sizeof(line), "\r\nContent-Length: %zu\r\n", r->body_bytes);
	assert_header(r, line);
}

#define INDEX "GET / HTTP/1.0\r\n\r\n"

static void assert_index(struct response r)
{
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "/debug/pprof/cgoheap"));
	assert_length_is_right(&r);
	free(r.bytes);
}

/* ---- pages -------------------------------------------------------------- */

static void the_index_is_at_three_paths(void **state)
{
	(void)state;
	assert_index(request("GET", "/"));
	assert_index(request("GET", "/debug/pprof"));
	struct response r = request("GET", "/debug/pprof/");
	assert_header(&r, "Content-Type: text/html; charset=utf-8\r\n");
	assert_header(&r, "Connection: close\r\n");
	assert_index(r);
}

static void the_profile_is_gzip_with_a_name(void **state)
{
	(void)state;
	struct response r = request("GET", "/debug/pprof/cgoheap");
	assert_int_equal(r.status, 200);
	assert_header(&r, "Content-Type: application/octet-stream\r\n");
	assert_header(&r, "Content-Disposition: attachment; filename=\"cgoheap.pb.gz\"\r\n");
	assert_length_is_right(&r);
	assert_memory_equal(r.body, "\x1f\x8b", 2);
	free(r.bytes);
}

static void the_profile_as_text(void **state)
{
	(void)state;
	struct response r = request("GET", "/debug/pprof/cgoheap?debug=1");
	assert_int_equal(r.status, 200);
	assert_header(&r, "Content-Type: text/plain; charset=utf-8\r\n");
	assert_null(strstr(r.head, "Content-Disposition"));
	assert_length_is_right(&r);
	assert_non_null(strstr(r.body, "heap profile: 3000: 300000 [3000: "));
	assert_true(r.body_bytes > 300000); /* more than a socket accepts at once */
	free(r.bytes);
	static const char *const also[] = {"?debug=2", "?debug=1&symbols=none",
					   "?debug=1&frames=all"};
	for (size_t i = 0; i < COUNT_OF(also); i++) {
		char target[64];
		snprintf(target, sizeof(target), "/debug/pprof/cgoheap%s", also[i]);
		r = request("GET", target);
		assert_non_null(strstr(r.body, "heap profile: 3000: "));
		free(r.bytes);
	}
	/* nothing in the live table is that old */
	r = request("GET", "/debug/pprof/cgoheap?debug=1&older=1h");
	assert_non_null(strstr(r.body, "heap profile: 0: 0 [0: "));
	free(r.bytes);
}

static void status_is_json(void **state)
{
	(void)state;
	struct response r = request("GET", "/v1/status");
	assert_int_equal(r.status, 200);
	assert_header(&r, "Content-Type: application/json\r\n");
	assert_length_is_right(&r);
	assert_int_equal(r.body[0], '{');
	assert_non_null(strstr(r.body, "\"distinct\":3000"));
	free(r.bytes);
}

static void head_is_get_without_its_body(void **state)
{
	static const char *const targets[] = {"/", "/nope", "/v1/status?x"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		struct response get = request("GET", targets[i]);
		struct response head = request("HEAD", targets[i]);
		assert_string_equal(head.head, get.head);
		assert_int_equal(head.body_bytes, 0);
		free(get.bytes);
		free(head.bytes);
	}
	struct response r = request("HEAD", "/debug/pprof/cgoheap?debug=1");
	assert_int_equal(r.status, 200);
	assert_int_equal(r.body_bytes, 0);
	free(r.bytes);
}

/* A HEAD changes nothing: a reset begins a peak with the next number. */
static void head_does_not_reset_a_peak(void **state)
{
	uint16_t before = peak_number(&region->peaks[PEAK_C]);
	(void)state;
	struct response r = request("HEAD", "/debug/pprof/cgoheap?view=peak&reset=1");
	assert_int_equal(r.status, 200);
	assert_int_equal(peak_number(&region->peaks[PEAK_C]), before);
	free(r.bytes);
	r = request("GET", "/debug/pprof/cgoheap?view=peak&reset=1");
	assert_int_not_equal(peak_number(&region->peaks[PEAK_C]), before);
	free(r.bytes);
}

/* The end of a 404 page. */
#define PAGES                                                                                      \
	"/debug/pprof/cgoheap, /debug/pprof/allheap, /debug/pprof/memory, /v1/account, "           \
	"/v1/events, "                                                                             \
	"/v1/status, /metrics, POST "                                                              \
	"/v1/sampling or POST /v1/trim\n"

/* ---- what is refused ---------------------------------------------------- */

static void unknown_paths(void **state)
{
	(void)state;
	assert_get("/debug/pprof/heap", 404,
		   "no page \"/debug/pprof/heap\": expected /debug/pprof/, " PAGES);
	assert_get("/%1b[31m%22", 404,
		   "no page \"/\\x1b[31m\\\"\": expected /debug/pprof/, " PAGES);
}

static void wrong_methods(void **state)
{
	(void)state;
	struct response r = request("DELETE", "/v1/status");
	assert_header(&r, "Allow: GET, HEAD\r\n");
	assert_answer(r, 405, "method \"DELETE\" not allowed for /v1/status; use GET\n");
	r = request("GET", "/v1/sampling?state=on");
	assert_header(&r, "Allow: POST\r\n");
	assert_answer(r, 405, "method \"GET\" not allowed for /v1/sampling; use POST\n");
	assert_answer(request("POST", "/debug/pprof/cgoheap"), 405,
		      "method \"POST\" not allowed for /debug/pprof/cgoheap; use GET\n");
}

static void bad_parameters(void **state)
{
	static const struct {
		const char *query, *body;
	} cases[] = {
		{"gc=1", "unknown parameter \"gc\": /debug/pprof/cgoheap takes debug, seconds, "
			 "older, symbols, frames, view, labels, of, reset\n"},
		{"%0a=1", "unknown parameter \"\\x0a\": /debug/pprof/cgoheap takes debug, seconds, "
			  "older, symbols, frames, view, labels, of, reset\n"},
		{"debug=1&debug=1", "parameter debug given more than once\n"},
		{"debug", "invalid debug=\"\": expected 0, 1 or 2 (as 1)\n"},
		{"debug=3", "invalid debug=\"3\": expected 0, 1 or 2 (as 1)\n"},
		{"seconds=0", "invalid seconds=\"0\": expected whole seconds from 1 to 3600\n"},
		{"seconds=3601",
		 "invalid seconds=\"3601\": expected whole seconds from 1 to 3600\n"},
		{"seconds=-1", "invalid seconds=\"-1\": expected whole seconds from 1 to 3600\n"},
		{"seconds=18446744073709551617", "invalid seconds=\"18446744073709551617\": "
						 "expected whole seconds from 1 to 3600\n"},
		{"older=10", NULL}, /* plain seconds are good */
		{"older=0", "invalid older=\"0\": expected a time above 0, e.g. 90s, 10m or "
			    "1h30m\n"},
		{"older=x", "invalid older=\"x\": expected a time above 0, e.g. 90s, 10m or "
			    "1h30m\n"},
		{"symbols=all", "invalid symbols=\"all\": expected none\n"},
		{"view=live", NULL},
		{"view=", "invalid view=\"\": expected live, peak, frees or pinned\n"},
		{"view=peaks", "invalid view=\"peaks\": expected live, peak, frees or pinned\n"},
		{"view=frees", NULL},
		{"labels=age", NULL},
		{"labels=ages", "invalid labels=\"ages\": expected age\n"},
		{"labels=age&seconds=1", "labels=age cannot be combined with seconds, older or "
					 "another view\n"},
		{"labels=age&older=1s", "labels=age cannot be combined with seconds, older or "
					"another view\n"},
		{"frames=", "invalid frames=\"\": expected all\n"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char target[128];
		snprintf(target, sizeof(target), "/debug/pprof/cgoheap?%s", cases[i].query);
		if (cases[i].body != NULL) {
			assert_get(target, 400, cases[i].body);
			continue;
		}
		struct response r = request("GET", target);
		assert_int_equal(r.status, 200);
		free(r.bytes);
	}
	assert_get("/v1/status?x=1", 400,
		   "unknown parameter \"x\": /v1/status takes no parameters\n");
}

static void an_error_is_what_pprof_shows(void **state)
{
	(void)state;
	struct response r = request("GET", "/debug/pprof/cgoheap?seconds=x");
	assert_header(&r, "X-Go-Pprof: 1\r\n");
	assert_header(&r, "Content-Type: text/plain; charset=utf-8\r\n");
	free(r.bytes);
}

/* ---- sampling ----------------------------------------------------------- */

static void sampling_is_switched(void **state)
{
	(void)state;
	assert_answer(request("POST", "/v1/sampling?state=off"), 200,
		      "{\"state\":\"dormant\",\"sample_bytes\":524288,"
		      "\"sampling_remaining_ns\":null}\n");
	assert_int_equal(sample_interval(), 0);
	struct response r = request("POST", "/v1/sampling?sample_bytes=64KiB&for=10m&state=on");
	unsigned long long left = 0;
	assert_int_equal(sscanf(r.body,
				"{\"state\":\"sampling\",\"sample_bytes\":65536,"
				"\"sampling_remaining_ns\":%llu}\n",
				&left),
			 1);
	assert_in_range(left, 1, 600000000000);
	free(r.bytes);
	assert_int_equal(sample_interval(), 65536);
	assert_answer(request("POST", "/v1/sampling?state=on&sample_bytes=524288"), 200,
		      "{\"state\":\"sampling\",\"sample_bytes\":524288,"
		      "\"sampling_remaining_ns\":null}\n");
}

/* The loop ends it by itself, without a request. */
static void a_limited_sampling_ends_without_being_asked(void **state)
{
	(void)state;
	free(request("POST", "/v1/sampling?state=on&for=20ms").bytes);
	while (sample_interval() != 0)
		usleep(1000);
	free(request("POST", "/v1/sampling?state=on").bytes);
	assert_int_equal(sample_interval(), 524288);
}

static void bad_sampling_changes_nothing(void **state)
{
	static const struct {
		const char *query, *body;
	} cases[] = {
		{"", "missing parameter state: expected on or off\n"},
		{"?state=maybe", "invalid state=\"maybe\": expected on or off\n"},
		{"?state=off&for=1m", "state=off takes no other parameters\n"},
		{"?state=on&for=", "invalid for=\"\": expected a time above 0, e.g. 90s, 10m "
				   "or 1h30m\n"},
		{"?state=on&sample_bytes=0",
		 "invalid sample_bytes=\"0\": expected bytes from 1 to 1073741824, e.g. "
		 "524288 or 512KiB\n"},
		{"?state=on&sample_bytes=2G",
		 "invalid sample_bytes=\"2G\": expected bytes from 1 to 1073741824, e.g. "
		 "524288 or 512KiB\n"},
		{"?state=on&state=off", "parameter state given more than once\n"},
		{"?on=1", "unknown parameter \"on\": /v1/sampling takes state, for, "
			  "sample_bytes\n"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char target[128];
		snprintf(target, sizeof(target), "/v1/sampling%s", cases[i].query);
		assert_answer(request("POST", target), 400, cases[i].body);
		assert_int_equal(sample_interval(), 524288);
	}
}

static void the_body_of_a_post_is_thrown_away(void **state)
{
	static char text[128 + 8192];
	(void)state;
	memset(text, 'x', sizeof(text));
	int n = sprintf(text, "POST /v1/sampling?state=on HTTP/1.1\r\nHost: x\r\n"
			      "Content-Length: 8192\r\n\r\n");
	text[n] = 'x';
	int fd = dial();
	send_bytes(fd, text, (size_t)n + 8192);
	struct response r = receive_response(fd);
	assert_int_equal(r.status, 200);
	free(r.bytes);
}

/* ---- how bytes may arrive ----------------------------------------------- */

static void split_at_every_byte(void **state)
{
	static const char text[] = "GET /nope?a=%20 HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
	(void)state;
	for (size_t at = 1; at < sizeof(text) - 1; at++) {
		int fd = dial();
		send_bytes(fd, text, at);
		sched_yield();
		assert_answer(ask(fd, text + at), 404,
			      "no page \"/nope\": expected /debug/pprof/, " PAGES);
	}
}

static void one_answer_to_many_requests_at_once(void **state)
{
	(void)state;
	int fd = dial();
	for (int i = 0; i < 100; i++)
		send_text(fd, INDEX);
	struct response r = receive_response(fd);
	assert_null(strstr(r.body, "HTTP/1.1"));
	assert_index(r);
}

static void a_client_that_has_said_all_is_answered(void **state)
{
	(void)state;
	int fd = dial();
	send_text(fd, INDEX);
	shutdown(fd, SHUT_WR);
	assert_index(receive_response(fd));
}

static void half_a_request_is_told_so(void **state)
{
	(void)state;
	int fd = dial();
	send_text(fd, "GET / HTTP/1.1\r\nHost:");
	shutdown(fd, SHUT_WR);
	assert_answer(receive_response(fd), 400,
		      "the request ends before the empty line after its headers\n");
	fd = dial();
	shutdown(fd, SHUT_WR);
	struct response r = receive_response(fd);
	assert_int_equal(r.count, 0); /* nothing requested, nothing sent */
	free(r.bytes);
}

static void an_oversized_request_is_told_so(void **state)
{
	static char text[60000];
	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	int fd = dial();
	send_bytes(fd, text, sizeof(text));
	assert_answer(receive_response(fd), 431,
		      "request longer than 8192 bytes: send fewer headers\n");
	/* exactly the maximum */
	memcpy(text + 4, "/ HTTP/1.0\r\nA: ", 15);
	memcpy(text + 8192 - 4, "\r\n\r\n", 4);
	fd = dial();
	send_bytes(fd, text, 8192);
	assert_index(receive_response(fd));
}

static void garbage_is_answered_or_hung_up_on(void **state)
{
	uint32_t seed = 12345;
	(void)state;
	for (int round = 0; round < 300; round++) {
		char bytes[200];
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
		memcpy(bytes + 190, "\r\n\r\n", 4);
		int fd = dial();
		send_bytes(fd, bytes, sizeof(bytes));
		struct response r = receive_response(fd);
		assert_int_equal(r.status, 400);
		free(r.bytes);
	}
	assert_index(ask(dial(), INDEX));
}

static void gone_before_the_answer(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		int fd = dial();
		send_text(fd, "GET /debug/pprof/cgoheap?debug=1 HTTP/1.0\r\n\r\n");
		close(fd);
	}
	assert_index(ask(dial(), INDEX));
}

/* ---- many clients ------------------------------------------------------- */

static void a_slow_client_delays_no_other(void **state)
{
	(void)state;
	int slow = dial();
	send_text(slow, "GET / HT");
	assert_index(ask(dial(), INDEX));
	send_text(slow, "TP/1.0\r\n");
	assert_index(ask(dial(), INDEX));
	assert_index(ask(slow, "\r\n"));
}

static void a_client_that_does_not_read_delays_no_other(void **state)
{
	(void)state;
	int stuck = dial();
	send_text(stuck, "GET /debug/pprof/cgoheap?debug=1 HTTP/1.0\r\n\r\n");
	struct pollfd p = {.fd = stuck, .events = POLLIN};
	assert_int_equal(poll(&p, 1, -1), 1); /* its answer has started */
	assert_index(ask(dial(), INDEX));
	struct response r = receive_response(stuck);
	assert_int_equal(r.status, 200);
	assert_length_is_right(&r);
	free(r.bytes);
}

/* The clients that came before have been accepted when this one is answered. */
static void assert_all_places_are_taken(void)
{
	assert_answer(ask(dial(), INDEX), 503,
		      "16 requests are in progress: retry when one ends\n");
}

static void the_seventeenth_is_told_to_wait(void **state)
{
	int open[16];
	(void)state;
	testclock_stop();
	for (int i = 0; i < 16; i++)
		open[i] = dial();
	for (int round = 0; round < 3; round++)
		assert_all_places_are_taken();
	close(open[3]);
	assert_index(ask(dial(), INDEX));
	for (int i = 0; i < 16; i++)
		if (i != 3)
			assert_index(ask(open[i], INDEX));
	testclock_go_on();
}

/* Each client wakes the server. */
static void assert_there_is_a_place_again(void)
{
	for (int tries = 0; tries < 300; tries++) {
		struct response r = ask(dial(), INDEX);
		int status = r.status;
		free(r.bytes);
		if (status == 200)
			return;
		assert_int_equal(status, 503);
		usleep(100000);
	}
	fail_msg("they keep their places");
}

static void sixteen_who_say_nothing_lose_their_places(void **state)
{
	int silent[16];
	(void)state;
	testclock_stop();
	for (int i = 0; i < 16; i++) {
		silent[i] = dial();
		send_text(silent[i], i % 2 ? "GET / HT" : "");
	}
	assert_all_places_are_taken();
	testclock_go_on();
	testclock_advance(CONNECTION_REQUEST_NS);
	assert_there_is_a_place_again();
	assert_answer(receive_response(silent[1]), 408,
		      "the request did not arrive within 5 seconds\n");
	for (int i = 0; i < 16; i++)
		if (i != 1)
			close(silent[i]);
}

/* Their answers exceed what the kernel buffers. Eight more clients send nothing. */
static void those_who_do_not_read_lose_their_places(void **state)
{
	int stuck[16];
	(void)state;
	testclock_stop();
	for (int i = 0; i < 16; i++) {
		struct pollfd begun = {.events = POLLIN};
		begun.fd = stuck[i] = dial();
		if (i >= 8)
			continue;
		send_text(stuck[i], "GET /debug/pprof/cgoheap?debug=1 HTTP/1.0\r\n\r\n");
		assert_int_equal(poll(&begun, 1, -1), 1);
	}
	assert_all_places_are_taken();
	testclock_go_on();
	testclock_advance(CONNECTION_STALL_NS);
	assert_there_is_a_place_again();
	for (int i = 0; i < 16; i++)
		close(stuck[i]);
}

/* No client has to wait for others that were answered and have not yet hung up. */
static void those_who_linger_hold_no_place(void **state)
{
	int lingering[40];
	(void)state;
	for (int i = 0; i < 40; i++) {
		char start[13] = "";
		lingering[i] = dial();
		send_text(lingering[i], INDEX);
		recv(lingering[i], start, 12, MSG_WAITALL);
		assert_string_equal(start, "HTTP/1.1 200");
	}
	assert_index(ask(dial(), INDEX));
	for (int i = 0; i < 40; i++)
		close(lingering[i]);
}

/* ---- growth ------------------------------------------------------------- */

/* The server sees it when a client wakes it. */
static void let_seconds_pass(uint64_t seconds)
{
	testclock_advance(seconds * 1000000000);
	assert_index(ask(dial(), INDEX));
}

static void growth_is_what_came_in_between(void **state)
{
	(void)state;
	struct capture c = {.count = 2, .frames = {0x1000, 0x2000}};
	int fd = dial();
	send_text(fd, "GET /debug/pprof/cgoheap?seconds=1&debug=1 HTTP/1.0\r\n\r\n");
	assert_index(ask(dial(), INDEX)); /* so that the first snapshot is taken */
	uint32_t site = stacks_site(&c, 77, ORIGIN_MALLOC);
	site_add_alloc(site_at(site), sample_weight(77, 1));
	let_seconds_pass(1);
	struct response r = receive_response(fd);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "heap profile: 1: 77 [1: "));
	free(r.bytes);
	site_add_free(site_at(site), sample_weight(77, 1));
}

/* Four times as many clients as are served at a time, and others meanwhile. */
static void those_who_wait_for_growth_hold_no_place(void **state)
{
	int waiting[64];
	(void)state;
	for (int i = 0; i < 64; i++) {
		waiting[i] = i % 2 == 0 ? dial() : dial_tcp();
		send_text(waiting[i],
			  "GET /debug/pprof/cgoheap?seconds=2&debug=1 HTTP/1.0\r\n\r\n");
	}
	for (int i = 0; i < 20; i++)
		assert_index(ask(dial(), INDEX));
	struct response r = ask(dial(), "GET /debug/pprof/cgoheap?seconds=2 HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(r.bytes, "\r\nRetry-After: 1\r\n"));
	assert_answer(r, 503,
		      "64 requests are already waiting for seconds=: retry when one is answered\n");
	let_seconds_pass(2);
	for (int i = 0; i < 64; i++) {
		r = receive_response(waiting[i]);
		assert_int_equal(r.status, 200);
		assert_length_is_right(&r);
		free(r.bytes);
	}
	assert_index(ask(dial(), INDEX));
}

/* An hour, cut short: the answer has the growth so far. */
static void an_end_of_sending_brings_the_answer(void **state)
{
	(void)state;
	struct capture c = {.count = 2, .frames = {0x3000, 0x4000}};
	int fd = dial();
	send_text(fd, "GET /debug/pprof/cgoheap?seconds=3600&debug=1 HTTP/1.0\r\n\r\n");
	assert_index(ask(dial(), INDEX));
	uint32_t site = stacks_site(&c, 55, ORIGIN_MALLOC);
	site_add_alloc(site_at(site), sample_weight(55, 1));
	shutdown(fd, SHUT_WR);
	struct response r = receive_response(fd);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "heap profile: 1: 55 [1: "));
	free(r.bytes);
	site_add_free(site_at(site), sample_weight(55, 1));
}

static void those_who_wait_for_growth_may_leave(void **state)
{
	(void)state;
	for (int round = 0; round < 4; round++) {
		int parked[7];
		for (int i = 0; i < 7; i++) {
			parked[i] = round % 2 == 0 ? dial() : dial_tcp();
			send_text(parked[i],
				  "GET /debug/pprof/cgoheap?seconds=3600 HTTP/1.0\r\n\r\nmore");
		}
		assert_index(ask(dial(), INDEX));
		for (int i = 0; i < 7; i++)
			close(parked[i]);
	}
	assert_index(ask(dial(), INDEX));
}

/* ---- Go's heap ----------------------------------------------------------- */

/* The Go package's side: answers from a file, or not at all, until its socket ends. */
struct package {
	int fd;
	bool answers;
};

static void answer_heap(int fd, uint32_t sequence)
{
	struct {
		struct cgoheap_bridge_message head;
		uint8_t bytes[16 * KIB];
	} piece = {.head = {.kind = CGOHEAP_BRIDGE_ASK_HEAP, .sequence = sequence}};
	FILE *f = fopen("tests/unit/testdata/goheap.gz", "r");
	piece.head.bytes = fread(piece.bytes, 1, sizeof(piece.bytes), f);
	fclose(f);
	send(fd, &piece, sizeof(piece.head) + piece.head.bytes, MSG_NOSIGNAL);
}

static void *run_package(void *arg)
{
	struct package *p = arg;
	struct cgoheap_bridge_message question;
	struct pollfd can_read = {.fd = p->fd, .events = POLLIN}; /* it does not block */
	while (poll(&can_read, 1, -1) == 1 &&
	       recv(p->fd, &question, sizeof(question), 0) == sizeof(question))
		if (p->answers && question.kind == CGOHEAP_BRIDGE_ASK_HEAP)
			answer_heap(p->fd, question.sequence);
	close(p->fd);
	return NULL;
}

/* Replaces the previous package, whose thread then ends. */
static void attach_package(struct package *p, pthread_t *thread)
{
	struct cgoheap_bridge_about about;
	STORE(&shim_state, SHIM_ACTIVE);
	p->fd = bridge_want(CGOHEAP_BRIDGE_PROTOCOL, "0.1.0", CGOHEAP_BRIDGE_FIGURES, &about);
	assert_true(p->fd >= 0);
	assert_int_equal(pthread_create(thread, NULL, run_package, p), 0);
	assert_index(ask(dial(), INDEX)); /* so that the server has noticed it */
}

static void allheap_needs_the_package(void **state)
{
	(void)state;
	assert_get("/debug/pprof/allheap", 404,
		   "no Go heap profile: import the Go package cgo_bridge in the service, "
		   "or use /debug/pprof/cgoheap for C alone\n");
	assert_get("/debug/pprof/allheap?debug=1", 400,
		   "unknown parameter \"debug\": /debug/pprof/allheap takes seconds, frames\n");
	assert_get("/debug/pprof/allheap?seconds=0", 400,
		   "invalid seconds=\"0\": expected whole seconds from 1 to 3600\n");
}

static void allheap_is_both_heaps(void **state)
{
	static const char *const targets[] = {
		"/debug/pprof/allheap", "/debug/pprof/allheap?frames=all",
		"/debug/pprof/allheap?seconds=1", "/debug/pprof/memory"};
	static struct package answering = {.answers = true}, silent = {0};
	pthread_t threads[2];
	size_t plain = 0;
	(void)state;
	struct response r = request("GET", "/debug/pprof/cgoheap");
	plain = r.body_bytes;
	free(r.bytes);
	attach_package(&answering, &threads[0]);
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		char text[128];
		int fd = dial();
		snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\n\r\n", targets[i]);
		send_text(fd, text);
		assert_index(ask(dial(), INDEX)); /* so that the first snapshot is taken */
		let_seconds_pass(1);
		r = receive_response(fd);
		if (r.status != 200)
			fail_msg("%s: %d %s", targets[i], r.status, r.body);
		assert_length_is_right(&r);
		if (i < 2) { /* test_goheap checks the contents */
			assert_header(&r, "filename=\"allheap.pb.gz\"\r\n");
			assert_true(r.body_bytes > plain);
		}
		free(r.bytes);
	}
	attach_package(&silent, &threads[1]);
	pthread_join(threads[0], NULL);
	assert_get("/debug/pprof/allheap", 503,
		   "Go's heap profile did not arrive within 2 s, or is larger than 8 MiB: "
		   "/debug/pprof/cgoheap does not need it\n");
	assert_get("/debug/pprof/allheap?seconds=5", 503,
		   "Go's heap profile did not arrive within 2 s, or is larger than 8 MiB: "
		   "/debug/pprof/cgoheap does not need it\n");
	shutdown(silent.fd, SHUT_RDWR);
	pthread_join(threads[1], NULL);
	r = request("GET", "/debug/pprof/memory"); /* without a package */
	assert_int_equal(r.status, 200);
	free(r.bytes);
}

/* ---- memory ------------------------------------------------------------- */

/* Takes all scratch (in pieces of 256 KiB) as soon as the last client's is free. */
static void take_all_scratch(struct scratch *hog)
{
	for (int tries = 0; tries < 5000; tries++) {
		*hog = SCRATCH_INIT(SIZE_MAX);
		while (scratch_alloc(hog, 64 * KIB) != NULL)
			;
		if (hog->mapped_bytes + 256 * KIB > region_scratch_max_bytes())
			return;
		scratch_release(hog);
		usleep(1000);
	}
	fail_msg("some answer keeps its memory");
}

static void out_of_memory_is_said_and_passes(void **state)
{
	static const char line[] = "out of cgoheap's own memory: raise CGOHEAP_MAX_MEMORY, or "
				   "retry when fewer requests are in progress\n";
	struct scratch hog;
	(void)state;
	take_all_scratch(&hog);
	assert_get("/debug/pprof/cgoheap", 503, line);
	assert_get("/debug/pprof/cgoheap?debug=1", 503, line);
	assert_get("/debug/pprof/cgoheap?seconds=5", 503, line);
	assert_get("/v1/status", 503, line);
	assert_index(request("GET", "/")); /* needs no scratch */
	scratch_release(&hog);
	struct response r = request("GET", "/debug/pprof/cgoheap?debug=1");
	assert_int_equal(r.status, 200);
	free(r.bytes);
}

static void nothing_is_kept_after_answers(void **state)
{
	struct scratch hog;
	(void)state;
	for (int i = 0; i < 30; i++) {
		free(request("GET", "/debug/pprof/cgoheap?debug=1").bytes);
		free(request("GET", "/debug/pprof/cgoheap").bytes);
		free(request("GET", "/v1/status").bytes);
	}
	take_all_scratch(&hog);
	scratch_release(&hog);
}

/* ---- TCP, and which clients are accepted -------------------------------- */

static void tcp_answers_loopback_names_only(void **state)
{
	(void)state;
	assert_index(ask(dial_tcp(), INDEX)); /* no Host: not a browser */
	assert_index(ask(dial_tcp(), "GET / HTTP/1.1\r\nHost: 127.0.0.1:6061\r\n\r\n"));
	assert_index(ask(dial_tcp(), "GET / HTTP/1.1\r\nHost: localhost\r\n"
				     "Origin: http://localhost:3000\r\n\r\n"));
	static const char host[] = "Host is not loopback: use 127.0.0.1 or localhost\n";
	assert_answer(ask(dial_tcp(), "GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n"), 403,
		      host);
	assert_answer(ask(dial_tcp(), "GET http://rebound.example/ HTTP/1.1\r\nHost: "
				      "localhost\r\n\r\n"),
		      403, host);
	assert_answer(ask(dial_tcp(), "POST /v1/sampling?state=off HTTP/1.1\r\nHost: localhost\r\n"
				      "Origin: https://evil.example\r\n\r\n"),
		      403, "request from a web page of another site: send it directly\n");
	assert_int_equal(sample_interval(), 524288);
	/* the unix socket accepts any Host */
	assert_index(ask(dial(), "GET / HTTP/1.1\r\nHost: anything.example\r\n\r\n"));
}

/* The client reads the whole answer although it was still sending: the connection is not reset. */
static void a_refusal_outlives_what_is_still_being_sent(void **state)
{
	static char text[60000];
	(void)state;
	memset(text, 'a', sizeof(text));
	for (int i = 0; i < 20; i++) {
		int fd = dial_tcp();
		send_bytes(fd, text, sizeof(text));
		struct response r = receive_response(fd);
		assert_true(r.clean_end);
		assert_answer(r, 431, "request longer than 8192 bytes: send fewer headers\n");
	}
}

static void ask_as_another_user(void)
{
	if (setgid(65534) != 0 || setuid(65534) != 0)
		_exit(2);
	struct response r = ask(connect_unix(server_socket_path()), INDEX);
	_exit(r.status == 403 && strcmp(r.body, "only the user of this process, or root, may "
						"connect\n") == 0
		      ? 0
		      : 1);
}

/* Even if the directory and the socket were open to all. */
static void another_user_is_refused(void **state)
{
	int status;
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(base, 0755) | chmod(server_socket_path(), 0666), 0);
	pid_t child = fork();
	if (child == 0)
		ask_as_another_user();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(base, 0700) | chmod(server_socket_path(), 0600), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_index_is_at_three_paths),
		cmocka_unit_test(the_profile_is_gzip_with_a_name),
		cmocka_unit_test(the_profile_as_text),
		cmocka_unit_test(status_is_json),
		cmocka_unit_test(head_is_get_without_its_body),
		cmocka_unit_test(head_does_not_reset_a_peak),
		cmocka_unit_test(unknown_paths),
		cmocka_unit_test(wrong_methods),
		cmocka_unit_test(bad_parameters),
		cmocka_unit_test(an_error_is_what_pprof_shows),
		cmocka_unit_test(sampling_is_switched),
		cmocka_unit_test(a_limited_sampling_ends_without_being_asked),
		cmocka_unit_test(bad_sampling_changes_nothing),
		cmocka_unit_test(the_body_of_a_post_is_thrown_away),
		cmocka_unit_test(split_at_every_byte),
		cmocka_unit_test(one_answer_to_many_requests_at_once),
		cmocka_unit_test(a_client_that_has_said_all_is_answered),
		cmocka_unit_test(half_a_request_is_told_so),
		cmocka_unit_test(an_oversized_request_is_told_so),
		cmocka_unit_test(garbage_is_answered_or_hung_up_on),
		cmocka_unit_test(gone_before_the_answer),
		cmocka_unit_test(a_slow_client_delays_no_other),
		cmocka_unit_test(a_client_that_does_not_read_delays_no_other),
		cmocka_unit_test(the_seventeenth_is_told_to_wait),
		cmocka_unit_test(sixteen_who_say_nothing_lose_their_places),
		cmocka_unit_test(those_who_do_not_read_lose_their_places),
		cmocka_unit_test(those_who_linger_hold_no_place),
		cmocka_unit_test(growth_is_what_came_in_between),
		cmocka_unit_test(those_who_wait_for_growth_hold_no_place),
		cmocka_unit_test(an_end_of_sending_brings_the_answer),
		cmocka_unit_test(those_who_wait_for_growth_may_leave),
		cmocka_unit_test(allheap_needs_the_package),
		cmocka_unit_test(allheap_is_both_heaps),
		cmocka_unit_test(out_of_memory_is_said_and_passes),
		cmocka_unit_test(nothing_is_kept_after_answers),
		cmocka_unit_test(tcp_answers_loopback_names_only),
		cmocka_unit_test(a_refusal_outlives_what_is_still_being_sent),
		cmocka_unit_test(another_user_is_refused),
	};
	return cmocka_run_group_tests(tests, start_server, remove_base);
}
