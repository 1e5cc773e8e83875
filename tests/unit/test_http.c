/* Good, odd and hostile requests, for the parser alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/http.h"

/* ---- parsing in a block of exactly its size, so that a sanitizer sees an overrun ---- */

static char *copied;

static int parse_bytes(struct http_request *r, const char *text, size_t n, const char **problem)
{
	static const char *unused;
	free(copied);
	copied = malloc(n > 0 ? n : 1);
	memcpy(copied, text, n);
	if (http_head_bytes(copied, n) == 0)
		return -1;
	*(problem != NULL ? problem : &unused) = NULL;
	int status = http_parse(r, copied, http_head_bytes(copied, n),
				problem != NULL ? problem : &unused);
	assert_true((status == 0) == ((problem != NULL ? *problem : unused) == NULL));
	return status;
}

static int parse(struct http_request *r, const char *text)
{
	return parse_bytes(r, text, strlen(text), NULL);
}

static int parse_status(const char *text)
{
	struct http_request r;
	return parse(&r, text);
}

#define H11 " HTTP/1.1\r\nHost: x\r\n\r\n"

static void a_plain_request(void **state)
{
	struct http_request r;
	(void)state;
	assert_int_equal(parse(&r, "GET /debug/pprof/cgoheap?debug=1&seconds=30 HTTP/1.1\r\n"
				   "Host: 127.0.0.1:6061\r\nUser-Agent: Go-http-client/1.1\r\n"
				   "Accept-Encoding: gzip\r\n\r\n"),
			 0);
	assert_int_equal(r.method, HTTP_GET);
	assert_string_equal(r.path, "/debug/pprof/cgoheap");
	assert_int_equal(r.param_count, 2);
	assert_string_equal(r.params[0].name, "debug");
	assert_string_equal(r.params[0].value, "1");
	assert_string_equal(r.params[1].name, "seconds");
	assert_string_equal(r.params[1].value, "30");
	assert_string_equal(r.host, "127.0.0.1:6061");
	assert_null(r.origin);
	assert_int_equal(r.minor_version, 1);
}

static void methods(void **state)
{
	struct http_request r;
	(void)state;
	assert_int_equal(parse(&r, "HEAD /" H11), 0);
	assert_int_equal(r.method, HTTP_HEAD);
	assert_int_equal(parse(&r, "POST /" H11), 0);
	assert_int_equal(r.method, HTTP_POST);
	assert_int_equal(parse(&r, "get /" H11), 0);
	assert_int_equal(r.method, HTTP_OTHER);
	assert_string_equal(r.method_name, "get");
	assert_int_equal(parse_status("G\"T /" H11), 400);
	assert_int_equal(parse_status(" /" H11), 400);
}

static void typed_by_hand(void **state)
{
	struct http_request r;
	(void)state;
	assert_int_equal(parse(&r, "GET / HTTP/1.0\n\n"), 0);
	assert_null(r.host);
	assert_int_equal(r.minor_version, 0);
	assert_int_equal(parse(&r, "\r\n\nGET /x HTTP/1.0\r\n\n"), 0);
	assert_string_equal(r.path, "/x");
}

static void versions(void **state)
{
	(void)state;
	assert_int_equal(parse_status("GET / HTTP/1.2\r\n\r\n"), 505);
	assert_int_equal(parse_status("PRI * HTTP/2.0\r\n\r\n"), 505);
	assert_int_equal(parse_status("GET / HTTP/1.10\r\n\r\n"), 505);
	assert_int_equal(parse_status("GET / http/1.1\r\n\r\n"), 400);
	assert_int_equal(parse_status("GET /\r\n\r\n"), 400);
	assert_int_equal(parse_status("GET  / HTTP/1.0\r\n\r\n"), 400);
	assert_int_equal(parse_status("GET / HTTP/1.0 \r\n\r\n"), 505);
	assert_int_equal(parse_status("\x16\x03\x01\r\n\r\n"), 400);
}

static void targets(void **state)
{
	struct http_request r;
	(void)state;
	assert_int_equal(parse(&r, "GET /a%2Fb%20c?x%3d=%25&&y&z==1&" H11), 0);
	assert_string_equal(r.path, "/a/b c");
	assert_int_equal(r.param_count, 3);
	assert_string_equal(r.params[0].name, "x=");
	assert_string_equal(r.params[0].value, "%");
	assert_string_equal(r.params[1].name, "y");
	assert_string_equal(r.params[1].value, "");
	assert_string_equal(r.params[2].value, "=1");
	static const char *const bad[] = {"*",     "",      "debug",    "/%",       "/%2",
					  "/%zz",  "/%00",  "/?a=%0",   "/?a=%00",  "/?%=1",
					  "/\x80", "/\x01", "ftp://x/", "http://x", "http://x?a=/"};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[64];
		snprintf(text, sizeof(text), "GET %s" H11, bad[i]);
		if (parse_status(text) != 400)
			fail_msg("target \"%s\" was taken", bad[i]);
	}
}

static void absolute_form_stands_for_host(void **state)
{
	struct http_request r;
	(void)state;
	assert_int_equal(parse(&r, "GET http://a.example:80/v1/status?x=1" H11), 0);
	assert_string_equal(r.host, "a.example:80");
	assert_string_equal(r.path, "/v1/status");
	assert_string_equal(r.params[0].name, "x");
	assert_int_equal(parse(&r, "GET http:///p" H11), 0);
	assert_string_equal(r.host, "");
}

static void at_most_16_parameters(void **state)
{
	struct http_request r;
	(void)state;
	assert_int_equal(parse(&r, "GET /?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p" H11), 0);
	assert_int_equal(r.param_count, 16);
	assert_int_equal(parse_status("GET /?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q" H11), 400);
}

static void header_lines(void **state)
{
	struct http_request r;
	static const char *const bad[] = {"Host : x", "Host",    ": x",     " folded", "\tfolded",
					  "A B: c",   "A: b\rc", "A: \x01", "A: \x7f", "A\x80: b"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[128];
		snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nX: y\r\n%s\r\n\r\n", bad[i]);
		if (parse_status(text) != 400)
			fail_msg("header \"%s\" was taken", bad[i]);
	}
	assert_int_equal(parse(&r, "GET / HTTP/1.1\r\nhOsT: \t x \t\r\nA:\r\nB: \xc3\xa9\r\n"
				   "oRIGIN:null\r\n\r\n"),
			 0);
	assert_string_equal(r.host, "x");
	assert_string_equal(r.origin, "null");
}

static void host_is_asked_for_once(void **state)
{
	(void)state;
	assert_int_equal(parse_status("GET / HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(parse_status("GET / HTTP/1.0\r\n\r\n"), 0);
	assert_int_equal(parse_status("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
}

static void bodies(void **state)
{
	(void)state;
#define WITH(method, header) method " / HTTP/1.1\r\nHost: x\r\n" header "\r\n\r\n"
	assert_int_equal(parse_status(WITH("POST", "Content-Length: 0")), 0);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: 1048576")), 0);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: 1048577")), 413);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: 999999999999999999")), 413);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: 9999999999999999999")), 400);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: -1")), 400);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: +1")), 400);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: 1, 1")), 400);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: 0x1")), 400);
	assert_int_equal(parse_status(WITH("POST", "Content-Length:")), 400);
	assert_int_equal(parse_status(WITH("POST", "Content-Length: 1\r\nContent-Length: 1")), 400);
	assert_int_equal(parse_status(WITH("POST", "Transfer-Encoding: chunked")), 501);
	assert_int_equal(parse_status(WITH("GET", "Content-Length: 0")), 0);
	assert_int_equal(parse_status(WITH("GET", "Content-Length: 1")), 400);
	assert_int_equal(parse_status(WITH("HEAD", "Content-Length: 1")), 400);
}

static void a_nul_anywhere_is_refused(void **state)
{
	static const char text[] = "GET /abc HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_request r;
	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1 - 4; i++) {
		char changed[sizeof(text)];
		memcpy(changed, text, sizeof(text));
		changed[i] = '\0';
		assert_int_equal(parse_bytes(&r, changed, sizeof(text) - 1, NULL), 400);
	}
}

static void every_start_of_a_head_is_incomplete(void **state)
{
	static const char text[] = "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nGET /next";
	size_t whole = sizeof(text) - 1 - strlen("GET /next");
	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *exact = malloc(n + 1);
		memcpy(exact, text, n);
		assert_int_equal(http_head_bytes(exact, n), n < whole ? 0 : whole);
		free(exact);
	}
	assert_int_equal(http_head_bytes("\n\n\r\n", 4), 0);
	assert_int_equal(http_head_bytes("a\n\r\n", 4), 4);
}

/* Replaces each byte of a request by every value: any answer, but no overrun. */
static void any_byte_anywhere(void **state)
{
	static const char text[] = "GET http://h/a%20?b=%41&c HTTP/1.1\r\nHost: x\r\n"
				   "Content-Length: 0\r\n\r\n";
	int taken = 0, refused = 0;
	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		for (int byte = 0; byte < 256; byte++) {
			struct http_request r;
			char changed[sizeof(text)];
			memcpy(changed, text, sizeof(text));
			changed[i] = (char)byte;
			int status = parse_bytes(&r, changed, sizeof(text) - 1, NULL);
			taken += status == 0;
			refused += status >= 400;
			if (status == 0)
				assert_int_equal(r.path[0], '/');
		}
	assert_true(taken > 1000 && refused > 1000);
}

static void loopback_hosts(void **state)
{
	static const char *const good[] = {"127.0.0.1",  "127.0.0.1:6061", "127.255.1.9:1",
					   "localhost",  "LocalHost:80",   "[::1]",
					   "[::1]:6061", "localhost:"};
	static const char *const bad[] = {"",         "127.evil.example", "127.0.0.1.evil.example",
					  "127.0.0",  "127.0.0.",         "127.0.0.1234",
					  "localhos", "localhost.evil",   "localhostx",
					  "evil",     "[::1].evil",       "[::1",
					  "::1",      "127.0.0.1:80x",    "10.0.0.1",
					  "0.0.0.0",  "127.0.0.1@evil",   "localhost:80:80"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		if (!http_host_is_loopback(good[i]))
			fail_msg("\"%s\" was refused", good[i]);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (http_host_is_loopback(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
	assert_true(http_origin_is_loopback("http://localhost:8080"));
	assert_true(http_origin_is_loopback("https://127.0.0.1"));
	assert_false(http_origin_is_loopback("null"));
	assert_false(http_origin_is_loopback("https://evil.example"));
	assert_false(http_origin_is_loopback("localhost"));
}

static void response_heads(void **state)
{
	char out[HTTP_RESPONSE_BYTES];
	(void)state;
	size_t n = http_write_head(out, &(struct http_response){
						.status = 200,
						.type = "application/octet-stream",
						.filename = "cgoheap.pb.gz",
						.body_bytes = UINT64_C(5000000000),
					});
	assert_int_equal(n, strlen(out));
	assert_string_equal(out, "HTTP/1.1 200 OK\r\n"
				 "Content-Type: application/octet-stream\r\n"
				 "X-Content-Type-Options: nosniff\r\n"
				 "Content-Disposition: attachment; filename=\"cgoheap.pb.gz\"\r\n"
				 "Content-Length: 5000000000\r\n"
				 "Connection: close\r\n\r\n");
	http_write_head(out, &(struct http_response){
				     .status = 405, .type = "text/plain", .allow = "GET, HEAD"});
	assert_string_equal(out, "HTTP/1.1 405 Method Not Allowed\r\n"
				 "Content-Type: text/plain\r\n"
				 "X-Content-Type-Options: nosniff\r\n"
				 "Allow: GET, HEAD\r\n"
				 "X-Go-Pprof: 1\r\n"
				 "Content-Length: 0\r\n"
				 "Connection: close\r\n\r\n");
}

static int free_copied(void **state)
{
	(void)state;
	free(copied);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_request),
		cmocka_unit_test(methods),
		cmocka_unit_test(typed_by_hand),
		cmocka_unit_test(versions),
		cmocka_unit_test(targets),
		cmocka_unit_test(absolute_form_stands_for_host),
		cmocka_unit_test(at_most_16_parameters),
		cmocka_unit_test(header_lines),
		cmocka_unit_test(host_is_asked_for_once),
		cmocka_unit_test(bodies),
		cmocka_unit_test(a_nul_anywhere_is_refused),
		cmocka_unit_test(every_start_of_a_head_is_incomplete),
		cmocka_unit_test(any_byte_anywhere),
		cmocka_unit_test(loopback_hosts),
		cmocka_unit_test(response_heads),
	};
	return cmocka_run_group_tests(tests, NULL, free_copied);
}
