/*
 * The words of HTTP: a request head taken apart, a response head put together.
 * Pure functions over bytes: no I/O, no memory of their own, no state.
 *
 * Strict where strictness is safety (header syntax, lengths, versions, escapes),
 * lenient where a person types by hand (a bare LF ends a line, HTTP/1.0 needs no
 * Host).  One request a connection: what follows the head is never looked at.
 */
#ifndef CGOHEAP_HTTP_H
#define CGOHEAP_HTTP_H

#include "base/base.h"

#define HTTP_MAX_HEAD_BYTES 8192
/* Taken and thrown away: parameters are in the query alone.  pprof posts addresses, 15 bytes each.
 */
#define HTTP_MAX_BODY_BYTES (1024 * 1024)
#define HTTP_MAX_PARAMS     16
#define HTTP_RESPONSE_BYTES 512 /* room for any head that http_write_head writes */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

/* Decoded, NUL-terminated. */
struct http_param {
	const char *name, *value;
};

/* All text lies in the head that was parsed. */
struct http_request {
	enum http_method method;
	const char *method_name; /* as sent */
	const char *path;        /* decoded, begins with '/' */
	struct http_param params[HTTP_MAX_PARAMS];
	uint32_t param_count;
	uint32_t minor_version; /* of HTTP/1 */
	const char *host;       /* NULL: not said */
	const char *origin;     /* NULL: not said */
};

/* Bytes of the head at the start of bytes, its blank line included; 0: not all there yet. */
size_t http_head_bytes(const char *bytes, size_t count);

/*
 * Takes a whole head (as http_head_bytes found it) apart, in place.  0, or the
 * status to answer with; then *problem is one line that says what to do.
 */
int http_parse(struct http_request *request, char *head, size_t count, const char **problem);

/* Whether a Host names this machine's loopback: 127.x.x.x, localhost or [::1], with or without a
 * port.  A name that merely begins so ("127.evil.example") does not. */
bool http_host_is_loopback(const char *host);
/* The same for an Origin: http:// or https:// before it. */
bool http_origin_is_loopback(const char *origin);

struct http_response {
	int status;
	const char *type;     /* Content-Type */
	const char *allow;    /* Allow, or NULL */
	const char *missing;  /* what a partial answer lacks, or NULL */
	const char *filename; /* offered by Content-Disposition, or NULL */
	uint64_t body_bytes;
	bool retry; /* Retry-After: 1 */
};

/* The head with its blank line into out; its length. */
size_t http_write_head(char out[HTTP_RESPONSE_BYTES], const struct http_response *response);

#endif
