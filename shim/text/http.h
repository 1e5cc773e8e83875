/*
 * Parses request heads and writes response heads.  Pure functions over bytes: no I/O,
 * no allocation, no state.
 *
 * Strict where it is a matter of safety (header syntax, lengths, versions, escapes),
 * lenient where people type by hand (a bare LF ends a line, HTTP/1.0 needs no Host).
 * One request per connection: anything after the head is ignored.
 */
#ifndef CGOHEAP_HTTP_H
#define CGOHEAP_HTTP_H

#include "base/base.h"

#define HTTP_MAX_HEAD_BYTES 8192
/* Bodies are read and discarded: parameters are only in the query.  pprof posts addresses, 15
 * bytes each. */
#define HTTP_MAX_BODY_BYTES (1024 * 1024)
#define HTTP_MAX_PARAMS     16
#define HTTP_RESPONSE_BYTES 512 /* enough for any head that http_write_head writes */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

/* Decoded, NUL-terminated. */
struct http_param {
	const char *name, *value;
};

/* All strings point into the parsed head. */
struct http_request {
	enum http_method method;
	const char *method_name; /* as sent */
	const char *path;        /* decoded, begins with '/' */
	struct http_param params[HTTP_MAX_PARAMS];
	uint32_t param_count;
	uint32_t minor_version; /* of HTTP/1 */
	const char *host;       /* NULL: not given */
	const char *origin;     /* NULL: not given */
	const char *accept;     /* the first; NULL: not given */
};

/* The length of the head at the start of bytes, including its blank line; 0: incomplete. */
size_t http_head_bytes(const char *bytes, size_t count);

/*
 * Parses a whole head (as found by http_head_bytes) in place.  0, or the status to answer
 * with; then *problem is one line that says what is wrong and what to send.
 */
int http_parse(struct http_request *request, char *head, size_t count, const char **problem);

/* Whether a Host is this machine's loopback: 127.x.x.x, localhost or [::1], with or without a
 * port.  A name with such a prefix ("127.evil.example") is not. */
bool http_host_is_loopback(const char *host);
/* The same for an Origin, which begins with http:// or https://. */
bool http_origin_is_loopback(const char *origin);

struct http_response {
	int status;
	const char *type;     /* Content-Type */
	const char *allow;    /* Allow, or NULL */
	const char *missing;  /* what a partial answer lacks, or NULL */
	const char *filename; /* offered by Content-Disposition, or NULL */
	uint64_t body_bytes;
	bool retry;      /* Retry-After: 1 */
	bool is_endless; /* no Content-Length: the body ends with the connection */
};

/* Writes the head with its blank line to out and returns its length. */
size_t http_write_head(char out[HTTP_RESPONSE_BYTES], const struct http_response *response);

#endif
