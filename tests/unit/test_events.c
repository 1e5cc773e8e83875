/* /v1/events over real sockets: lines, limits, readers that are slow or leave. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "client.h"

#include <poll.h>
#include <sys/stat.h>

#include "region/region.h"
#include "record/control.h"
#include "record/eventring.h"
#include "record/stacks.h"
#include "hook/real.h"
#include "serve/events.h"
#include "serve/server.h"

static char base[64];
static uint32_t site;

static int start_server(void **state)
{
	struct config c = {.sample_bytes = 4096,
			   .max_memory_bytes = 32 * MIB,
			   .listen = true,
			   .listen_address = INADDR_LOOPBACK};
	struct capture stack = {.count = 2, .end = CAPTURE_COMPLETE_GO, .frames = {0x7001, 0x7002}};
	(void)state;
	strcpy(base, "/tmp/cgoheap-test-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(c.socket_path, sizeof(c.socket_path), "%s/a.sock", base);
	real_resolve();
	assert_int_equal(region_init(c.max_memory_bytes), 0);
	assert_int_equal(stacks_init(), 0);
	control_init(&(struct control_start){.sample_bytes = c.sample_bytes});
	site = stacks_site(&stack, 100, ORIGIN_MALLOC);
	site_add_alloc(site_at(site), sample_weight(100, 1));
	assert_int_equal(server_bind(&c), 0);
	return server_start();
}

static int remove_base(void **state)
{
	(void)state;
	unlink(server_socket_path());
	return rmdir(base);
}

static int ask_for(const char *query)
{
	char text[256];
	int fd = connect_unix(server_socket_path());
	assert_true(fd >= 0);
	snprintf(text, sizeof(text), "GET /v1/events%s HTTP/1.1\r\nHost: cgoheap\r\n\r\n", query);
	send_text(fd, text);
	return fd;
}

/* A stream that has begun. */
static int stream(const char *query)
{
	char c = 0;
	int fd = ask_for(query);
	while (c != '{') /* the first line's */
		assert_int_equal(recv(fd, &c, 1, 0), 1);
	return fd;
}

static struct live_block a_block(uint64_t n)
{
	return (struct live_block){.address = n, .size = 100, .site = site, .interval = 1};
}

static void note(enum event_kind kind, uint64_t n)
{
	struct live_block b = a_block(n);
	eventring_note(kind, &b);
}

/* The rest of a stream that has ended or is told to end now. */
static struct response rest_of(int fd)
{
	shutdown(fd, SHUT_WR);
	return receive_response(fd);
}

static size_t count_of(const struct response *r, const char *part)
{
	size_t n = 0;
	for (const char *at = r->bytes; (at = strstr(at, part)) != NULL; at++)
		n++;
	return n;
}

static void wait_until_free(void)
{
	while (eventring_read_now != NULL)
		usleep(1000);
}

static void assert_refused(const char *query, int status, const char *body)
{
	struct response r = receive_response(ask_for(query));
	assert_int_equal(r.status, status);
	assert_string_equal(r.body, body);
	free(r.bytes);
}

/* ---- lines ---------------------------------------------------------------- */

static void the_head_has_no_length(void **state)
{
	(void)state;
	struct response r = rest_of(ask_for("?seconds=5"));
	assert_int_equal(r.status, 200);
	assert_true(r.clean_end);
	assert_non_null(strstr(r.head, "Content-Type: application/x-ndjson\r\n"));
	assert_null(strstr(r.head, "Content-Length"));
	assert_true(strncmp(r.body, "{\"kind\":\"start\",", 16) == 0);
	assert_non_null(strstr(r.body, "\"seconds\":5,\"kinds\":[\"alloc\",\"free\"]}\n"));
	assert_non_null(strstr(
		r.body, ",\"state\":\"sampling\",\"sample_bytes\":4096}\n{\"kind\":\"end\""));
	assert_non_null(strstr(r.body, ",\"reason\":\"asked\"}\n"));
	free(r.bytes);
	wait_until_free();
}

static void head_opens_no_stream(void **state)
{
	(void)state;
	struct response r = ask(connect_unix(server_socket_path()),
				"HEAD /v1/events HTTP/1.1\r\nHost: cgoheap\r\n\r\n");
	assert_int_equal(r.status, 200);
	assert_int_equal(r.body_bytes, 0);
	assert_null(strstr(r.head, "Content-Length")); /* as for GET */
	free(r.bytes);
	assert_null(eventring_read_now);
}

static void events_are_lines_and_a_stack_comes_once_before(void **state)
{
	(void)state;
	int fd = stream("");
	note(EVENT_ALLOC, 0xabc0);
	note(EVENT_FREE, 0xabc0);
	note(EVENT_KEPT, 0xabc0);
	struct response r = rest_of(fd);
	assert_int_equal(count_of(&r, "\"kind\":\"stack\""), 1);
	assert_true(strstr(r.bytes, "\"kind\":\"stack\"") < strstr(r.bytes, "\"kind\":\"alloc\""));
	assert_int_equal(count_of(&r, "\"kind\":\"alloc\""), 2);
	assert_int_equal(count_of(&r, ",\"again\":true}\n"), 1);
	assert_int_equal(count_of(&r, "\"kind\":\"free\""), 1);
	assert_int_equal(count_of(&r, ",\"address\":\"0xabc0\",\"size\":100,"
				      "\"estimated_bytes\":100,\"stack\":\""),
			 3);
	assert_non_null(strstr(r.bytes, "{\"function\":null,\"address\":\"0x7000\","
					"\"module\":null},{\"function\":null,"));
	assert_int_equal(count_of(&r, "\"kind\":\"lost\""), 0);
	free(r.bytes);
	wait_until_free();
}

static void a_stack_that_was_given_up_is_not_taken_for_another(void **state)
{
	(void)state;
	int fd = stream("");
	uint64_t born = site_at(site)->born;
	site_at(site)->born = 77;
	note(EVENT_ALLOC, 1);
	site_at(site)->born = born;
	struct response r = rest_of(fd);
	assert_int_equal(count_of(&r, "\"frames\":null}\n"), 1);
	assert_int_equal(count_of(&r, "\"kind\":\"alloc\""), 1);
	free(r.bytes);
	wait_until_free();
}

static void only_what_is_wanted_comes(void **state)
{
	(void)state;
	int fd = stream("?kinds=free,account&account=1h");
	note(EVENT_ALLOC, 1);
	note(EVENT_FREE, 1);
	struct response r = rest_of(fd);
	assert_int_equal(count_of(&r, "\"kind\":\"alloc\""), 0);
	assert_int_equal(count_of(&r, "\"kind\":\"free\""), 1);
	assert_int_equal(count_of(&r, "\"kind\":\"account\""), 1);
	assert_int_equal(count_of(&r, "\"account\":{\"rss_bytes\":"), 1);
	free(r.bytes);
	wait_until_free();
	fd = stream("?kinds=account");
	assert_null(eventring_read_now); /* hooks have nothing to write */
	r = rest_of(fd);
	free(r.bytes);
}

static void a_change_of_sampling_is_a_line(void **state)
{
	(void)state;
	int fd = stream("");
	control_sampling(true, 8192, 0);
	struct response r = rest_of(fd);
	assert_int_equal(count_of(&r, "\"sample_bytes\":8192}\n"), 1);
	control_sampling(true, 4096, 0);
	free(r.bytes);
	wait_until_free();
}

static void the_time_ends_a_stream(void **state)
{
	(void)state;
	struct response r = receive_response(ask_for("?seconds=1"));
	assert_true(r.clean_end);
	assert_non_null(strstr(r.body, ",\"reason\":\"seconds\"}\n"));
	free(r.bytes);
	wait_until_free();
}

/* ---- parameters ----------------------------------------------------------- */

static void bad_parameters_are_refused(void **state)
{
	(void)state;
	assert_refused("?seconds=0", 400,
		       "invalid seconds=\"0\": expected whole seconds from 1 to 86400\n");
	assert_refused("?seconds=86401", 400,
		       "invalid seconds=\"86401\": expected whole seconds from 1 to 86400\n");
	const char *const kinds[] = {"", "allocs", "alloc,", ",alloc", "alloc;free", "all"};
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		char query[64], body[128];
		snprintf(query, sizeof(query), "?kinds=%s", kinds[i]);
		snprintf(body, sizeof(body),
			 "invalid kinds=\"%s\": expected a list of alloc, free, account and gc, "
			 "with commas between\n",
			 kinds[i]);
		assert_refused(query, 400, body);
	}
	assert_refused("?account=0.5s", 400,
		       "invalid account=\"0.5s\": expected a time of 1s or more\n");
	assert_refused("?account=1s&kinds=free", 400,
		       "account= is given, but account is not among kinds\n");
	assert_refused("?kinds=gc", 404,
		       "no events of kind gc: import the Go package cgo_bridge in the service, or "
		       "leave gc out of kinds\n");
	assert_refused("?stack=1", 400,
		       "unknown parameter \"stack\": /v1/events takes seconds, kinds, account\n");
	assert_null(eventring_read_now);
}

static void a_third_reader_is_told_to_wait(void **state)
{
	(void)state;
	int one = stream(""), two = stream("");
	assert_refused("", 503, "2 clients read events already: retry when one has ended\n");
	close(one);
	for (;;) { /* its place is free once the server has seen that */
		struct response r = rest_of(ask_for(""));
		int status = r.status;
		free(r.bytes);
		if (status == 200)
			break;
	}
	struct response r = rest_of(two);
	assert_int_equal(count_of(&r, "\"kind\":\"end\""), 1);
	free(r.bytes);
	wait_until_free();
}

static void without_memory_it_is_refused(void **state)
{
	(void)state;
	struct scratch all = SCRATCH_INIT(region_scratch_max_bytes());
	while (scratch_alloc(&all, 64 * KIB) != NULL)
		;
	assert_refused("?kinds=account", 503,
		       "out of cgoheap's own memory: raise CGOHEAP_MAX_MEMORY, or retry when fewer "
		       "requests are in progress\n");
	scratch_release(&all);
}

static void an_end_needs_no_memory(void **state)
{
	(void)state;
	int fd = stream("?seconds=1");
	struct scratch all = SCRATCH_INIT(region_scratch_max_bytes());
	for (size_t size = 64 * KIB; size >= 64; size /= 2)
		while (scratch_alloc(&all, size) != NULL)
			;
	struct response r = rest_of(fd);
	assert_non_null(strstr(r.bytes, "\"reason\":\"asked\""));
	free(r.bytes);
	scratch_release(&all);
	wait_until_free();
}

/* ---- slow readers, and those that leave ------------------------------------- */

#define MANY 100000u

static uint64_t number_after(const struct response *r, const char *text)
{
	uint64_t sum = 0;
	for (const char *at = r->bytes; (at = strstr(at, text)) != NULL; at++)
		sum += strtoull(at + strlen(text), NULL, 10);
	return sum;
}

static void who_does_not_read_loses_and_is_told(void **state)
{
	(void)state;
	int fd = stream("?kinds=alloc"), quick = stream("?kinds=alloc");
	for (uint64_t n = 1; n <= MANY; n++)
		note(EVENT_ALLOC, n);
	/* Others are served meanwhile, streams too. */
	for (int i = 0; i < 40; i++) {
		struct response r =
			ask(connect_unix(server_socket_path()), "GET /v1/status HTTP/1.0\r\n\r\n");
		assert_int_equal(r.status, 200);
		free(r.bytes);
	}
	struct response r = rest_of(quick);
	assert_int_equal(count_of(&r, "\"kind\":\"alloc\"") + number_after(&r, ",\"count\":"),
			 MANY);
	free(r.bytes);
	/* More while it does not read: it is told of all. */
	for (uint64_t n = 1; n <= MANY; n++)
		note(EVENT_ALLOC, n);
	r = rest_of(fd);
	uint64_t lost = number_after(&r, ",\"count\":");
	assert_true(lost >= MANY);
	assert_int_equal(count_of(&r, "\"kind\":\"alloc\"") + lost, 2 * MANY);
	assert_int_equal(count_of(&r, "\"kind\":\"end\""), 1);
	free(r.bytes);
	wait_until_free();
}

static void who_leaves_frees_its_place(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		int fd = i % 2 ? connect_tcp(server_tcp_port()) : -1;
		if (fd >= 0)
			send_text(fd, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
		else
			fd = ask_for("");
		struct pollfd begun = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&begun, 1, -1), 1);
		for (uint64_t n = 0; n < 5000 * (uint64_t)(i / 2); n++)
			note(EVENT_ALLOC, n);
		close(fd);
		wait_until_free();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_has_no_length),
		cmocka_unit_test(head_opens_no_stream),
		cmocka_unit_test(events_are_lines_and_a_stack_comes_once_before),
		cmocka_unit_test(a_stack_that_was_given_up_is_not_taken_for_another),
		cmocka_unit_test(only_what_is_wanted_comes),
		cmocka_unit_test(a_change_of_sampling_is_a_line),
		cmocka_unit_test(the_time_ends_a_stream),
		cmocka_unit_test(bad_parameters_are_refused),
		cmocka_unit_test(a_third_reader_is_told_to_wait),
		cmocka_unit_test(without_memory_it_is_refused),
		cmocka_unit_test(an_end_needs_no_memory),
		cmocka_unit_test(who_does_not_read_loses_and_is_told),
		cmocka_unit_test(who_leaves_frees_its_place),
	};
	return cmocka_run_group_tests(tests, start_server, remove_base);
}
