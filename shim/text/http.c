/*
 * The part of RFC 9112 that one request per connection needs.  Ambiguous requests are
 * refused.  No proxy behind us could read them differently, but refusing them is simpler
 * than proving that they are harmless.
 */
#include "text/http.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

/* ---- characters --------------------------------------------------------- */

/* Not strcasecmp: it follows the host's locale, and in some the letter I differs. */
static bool same_name(const char *a, const char *b)
{
	while (*a != '\0' && ascii_lower(*a) == ascii_lower(*b)) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool is_token_char(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes percent escapes in place.  Refuses NUL, which would end the text early. */
static int decode(char *text)
{
	char *out = text;
	for (; *text != '\0'; text++) {
		if (*text != '%') {
			*out++ = *text;
			continue;
		}
		int high = hex_digit(text[1]);
		int low = high < 0 ? -1 : hex_digit(text[2]);
		if (low < 0 || (high == 0 && low == 0))
			return -1;
		*out++ = (char)(high << 4 | low);
		text += 2;
	}
	*out = '\0';
	return 0;
}

/* ---- lines -------------------------------------------------------------- */

/* An empty line before the request is ignored (RFC 9112, 2.2). */
static size_t leading_newlines(const char *bytes, size_t count)
{
	size_t n = 0;
	while (n < count && (bytes[n] == '\r' || bytes[n] == '\n'))
		n++;
	return n;
}

size_t http_head_bytes(const char *bytes, size_t count)
{
	size_t at = leading_newlines(bytes, count);
	for (;;) {
		const char *newline = memchr(bytes + at, '\n', count - at);
		if (newline == NULL)
			return 0;
		at = (size_t)(newline - bytes) + 1;
		if (at < count && bytes[at] == '\n')
			return at + 1;
		if (at + 1 < count && bytes[at] == '\r' && bytes[at + 1] == '\n')
			return at + 2;
	}
}

/* Cuts off the next line, NUL-terminated and without its CR; NULL at the blank line. */
static char *next_line(char **cursor, const char *end)
{
	char *line = *cursor;
	char *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
	if (newline == NULL)
		return NULL;
	*cursor = newline + 1;
	if (newline > line && newline[-1] == '\r')
		newline--;
	*newline = '\0';
	return newline > line ? line : NULL;
}

/* ---- the request line --------------------------------------------------- */

static enum http_method method_of(const char *name)
{
	if (strcmp(name, "GET") == 0)
		return HTTP_GET;
	if (strcmp(name, "HEAD") == 0)
		return HTTP_HEAD;
	return strcmp(name, "POST") == 0 ? HTTP_POST : HTTP_OTHER;
}

static int parse_version(struct http_request *r, const char *version, const char **problem)
{
	if (strcmp(version, "HTTP/1.1") == 0 || strcmp(version, "HTTP/1.0") == 0) {
		r->minor_version = (uint32_t)(version[7] - '0');
		return 0;
	}
	if (ascii_begins(version, "HTTP/")) {
		*problem = "unsupported HTTP version: send HTTP/1.0 or HTTP/1.1";
		return 505;
	}
	*problem = "not an HTTP request: send \"GET /debug/pprof/ HTTP/1.0\" and an empty line";
	return 400;
}

static int parse_query(struct http_request *r, char *query, const char **problem)
{
	while (query != NULL) {
		char *param = query;
		query = strchr(query, '&');
		if (query != NULL)
			*query++ = '\0';
		if (*param == '\0')
			continue;
		if (r->param_count == HTTP_MAX_PARAMS) {
			*problem = "too many query parameters: send fewer";
			return 400;
		}
		char *value = strchr(param, '=');
		if (value != NULL)
			*value++ = '\0';
		else
			value = param + strlen(param);
		if (decode(param) || decode(value)) {
			*problem =
				"invalid % escape in the query: expected two hex digits, not 00; "
				"send %25 for a percent sign";
			return 400;
		}
		r->params[r->param_count++] = (struct http_param){param, value};
	}
	return 0;
}

static int parse_target(struct http_request *r, char *target, const char **problem)
{
	/* The absolute form, as sent to a proxy: its authority replaces Host. */
	if (ascii_begins(target, "http://")) {
		char *authority = target + 7;
		size_t bytes = strcspn(authority, "/?");
		/* Over the scheme, so that its NUL is not where the path begins. */
		r->host = memmove(target, authority, bytes);
		target[bytes] = '\0';
		target = authority + bytes;
	}
	if (*target != '/') {
		*problem = "invalid request target: expected a path, e.g. /debug/pprof/";
		return 400;
	}
	r->path = target;
	char *query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	if (decode(target)) {
		*problem = "invalid % escape in the path: expected two hex digits, not 00; send "
			   "%25 for a percent sign";
		return 400;
	}
	return parse_query(r, query, problem);
}

/* method SP target SP version, with exactly one space each. */
static int parse_request_line(struct http_request *r, char *line, const char **problem)
{
	char *target = strchr(line, ' ');
	char *version = target != NULL ? strchr(target + 1, ' ') : NULL;
	const char *c = line;
	while (is_token_char(*c))
		c++;
	if (version == NULL || c != target || c == line)
		return parse_version(r, "", problem);
	*target++ = '\0';
	*version++ = '\0';
	r->method_name = line;
	r->method = method_of(line);
	int status = parse_version(r, version, problem);
	if (status != 0)
		return status;
	for (c = target; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~') {
			*problem = "unescaped byte in the request target: send it as %XX";
			return 400;
		}
	return parse_target(r, target, problem);
}

/* ---- header lines ------------------------------------------------------- */

struct headers {
	const char *host, *origin, *content_length, *accept;
	bool transfer_encoding;
	bool repeated; /* one that may appear only once */
};

static void note_once(struct headers *h, const char **field, const char *value)
{
	if (*field != NULL)
		h->repeated = true;
	*field = value;
}

static void note_header(struct headers *h, const char *name, const char *value)
{
	if (same_name(name, "host"))
		note_once(h, &h->host, value);
	else if (same_name(name, "origin"))
		note_once(h, &h->origin, value);
	else if (same_name(name, "accept"))
		h->accept = h->accept ? h->accept : value; /* may be given twice */
	else if (same_name(name, "content-length"))
		note_once(h, &h->content_length, value);
	else if (same_name(name, "transfer-encoding"))
		h->transfer_encoding = true;
}

/* Trims blanks around a value; -1: it contains a control character. */
static int trim_value(char **value)
{
	char *start = *value + strspn(*value, " \t");
	char *end = start + strlen(start);
	while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	*value = start;
	for (; *start != '\0'; start++)
		if (((unsigned char)*start < ' ' && *start != '\t') || *start == 0x7f)
			return -1;
	return 0;
}

static int parse_header(struct headers *h, char *line)
{
	char *colon = line;
	while (is_token_char(*colon))
		colon++;
	if (colon == line || *colon != ':')
		return -1; /* a folded line, a blank before the colon, no colon */
	*colon = '\0';
	char *value = colon + 1;
	if (trim_value(&value))
		return -1;
	note_header(h, line, value);
	return 0;
}

/* Digits only: request smuggling uses forms like "+1", "0x1" and "1, 1". */
static int parse_length(const char *text, uint64_t *length)
{
	return strlen(text) <= 18 && ascii_number(&text, length) && *text == '\0' ? 0 : -1;
}

static int check_body(const struct http_request *r, const struct headers *h, const char **problem)
{
	uint64_t length = 0;
	if (h->transfer_encoding) {
		*problem = "Transfer-Encoding is not supported: send the parameters in the query, "
			   "without a body";
		return 501;
	}
	if (h->content_length != NULL && parse_length(h->content_length, &length)) {
		*problem =
			"invalid Content-Length: send the parameters in the query, without a body";
		return 400;
	}
	if (length > HTTP_MAX_BODY_BYTES) {
		*problem =
			"the body is over 1 MiB: send the parameters in the query, without a body";
		return 413;
	}
	if (length > 0 && (r->method == HTTP_GET || r->method == HTTP_HEAD)) {
		*problem = "GET takes no body: send the parameters in the query";
		return 400;
	}
	return 0;
}

static int check_headers(struct http_request *r, const struct headers *h, const char **problem)
{
	if (h->repeated) {
		*problem = "repeated header Host, Origin or Content-Length: send it once";
		return 400;
	}
	if (h->host == NULL && r->minor_version == 1) {
		*problem = "HTTP/1.1 requires a Host header: send e.g. Host: localhost";
		return 400;
	}
	if (r->host == NULL)
		r->host = h->host;
	r->origin = h->origin;
	r->accept = h->accept;
	return check_body(r, h, problem);
}

int http_parse(struct http_request *r, char *head, size_t count, const char **problem)
{
	char *cursor = head + leading_newlines(head, count);
	struct headers headers = {0};
	char *line;

	*r = (struct http_request){.method = HTTP_OTHER};
	if (memchr(head, '\0', count) != NULL || (line = next_line(&cursor, head + count)) == NULL)
		return parse_version(r, "", problem);
	int status = parse_request_line(r, line, problem);
	if (status != 0)
		return status;
	while ((line = next_line(&cursor, head + count)) != NULL)
		if (parse_header(&headers, line)) {
			*problem = "invalid header line: expected \"Name: value\"";
			return 400;
		}
	return check_headers(r, &headers, problem);
}

/* ---- loopback hosts ------------------------------------------------------ */

static bool is_port_or_end(const char *text)
{
	if (*text == ':')
		text += 1 + strspn(text + 1, "0123456789");
	return *text == '\0';
}

/* Skips "127.x.x.x"; NULL: not that.  A name of only digits and dots is an address. */
static const char *skip_loopback_ipv4(const char *text)
{
	if (!ascii_begins(text, "127."))
		return NULL;
	text += 3;
	for (int part = 0; part < 3; part++) {
		size_t digits = *text == '.' ? strspn(text + 1, "0123456789") : 0;
		if (digits < 1 || digits > 3)
			return NULL;
		text += 1 + digits;
	}
	return text;
}

bool http_host_is_loopback(const char *host)
{
	char name[10] = "";
	const char *after = skip_loopback_ipv4(host);
	if (after != NULL)
		return is_port_or_end(after);
	if (ascii_begins(host, "[::1]"))
		return is_port_or_end(host + 5);
	strncpy(name, host, 9);
	return same_name(name, "localhost") && is_port_or_end(host + 9);
}

bool http_origin_is_loopback(const char *origin)
{
	const char *host = ascii_after(origin, "http://");

	if (!host)
		host = ascii_after(origin, "https://");
	return host && http_host_is_loopback(host);
}

/* ---- the response head -------------------------------------------------- */

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{200, "OK"},
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{413, "Content Too Large"},
		{431, "Request Header Fields Too Large"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Internal Server Error";
}

size_t http_write_head(char out[HTTP_RESPONSE_BYTES], const struct http_response *r)
{
	char disposition[96] = "", allow[64] = "", missing[96] = "", length[48] = "";
	if (r->filename != NULL)
		snprintf(disposition, sizeof(disposition),
			 "Content-Disposition: attachment; filename=\"%s\"\r\n", r->filename);
	if (r->allow != NULL)
		snprintf(allow, sizeof(allow), "Allow: %s\r\n", r->allow);
	if (r->missing != NULL)
		snprintf(missing, sizeof(missing), "X-Cgoheap-Missing: %s\r\n", r->missing);
	if (!r->is_endless)
		snprintf(length, sizeof(length), "Content-Length: %llu\r\n",
			 (unsigned long long)r->body_bytes);
	/* go tool pprof shows error texts only with X-Go-Pprof (net/http/pprof, serveError). */
	int n = snprintf(out, HTTP_RESPONSE_BYTES,
			 "HTTP/1.1 %d %s\r\n"
			 "Content-Type: %s\r\n"
			 "X-Content-Type-Options: nosniff\r\n"
			 "%s%s%s%s%s%s"
			 "Connection: close\r\n\r\n",
			 r->status, reason_of(r->status), r->type, disposition, allow, missing,
			 r->status >= 400 ? "X-Go-Pprof: 1\r\n" : "",
			 r->retry ? "Retry-After: 1\r\n" : "", length);
	return n < HTTP_RESPONSE_BYTES ? (size_t)n : HTTP_RESPONSE_BYTES - 1;
}
