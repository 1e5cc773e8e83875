/*
 * The states in the order in which a good client meets them, from the bottom of the file up: a
 * request is read, answered (or parked until its answer is due), sent, and what the client still
 * sends is drained. Each function either leaves the connection in its state, to be polled, or
 * enters the next state itself, so a client that is ready is served in one step.
 */
#include "serve/connection.h"

#include "base/clock.h"
#include "base/netsys.h"
#include "base/work.h"

/* A client that sends more than this after the answer is not reading it anyway. */
#define DRAIN_BYTES (HTTP_MAX_BODY_BYTES + 64 * KIB)

/* Separate from the connections, because those that wait, send or drain need no buffer, and
 * they are many. */
static char requests[CONNECTION_READERS][HTTP_MAX_HEAD_BYTES];
static bool taken[CONNECTION_READERS];

static char *take_request(void)
{
	for (size_t i = 0; i < CONNECTION_READERS; i++)
		if (!taken[i]) {
			taken[i] = true;
			return requests[i];
		}
	return NULL;
}

static void give_request(struct connection *c)
{
	if (c->request != NULL)
		taken[(size_t)(c->request - requests[0]) / HTTP_MAX_HEAD_BYTES] = false;
	c->request = NULL;
}

/* Reads the clock again: building an answer may have taken a while. */
static void enter(struct connection *c, enum connection_state state, uint64_t for_ns)
{
	c->state = state;
	c->deadline_ns = clock_monotonic_ns() + for_ns;
}

void connection_open(struct connection *c, int fd, bool is_tcp)
{
	c->own = c->last = own_fd_take(fd);
	c->is_tcp = is_tcp;
	c->received_bytes = c->drained_bytes = 0;
	c->head_bytes = c->head_sent = c->text_sent = 0;
	c->request = take_request();
	answer_init(&c->answer);
	enter(c, CONNECTION_READING, CONNECTION_REQUEST_NS);
}

void connection_close(struct connection *c)
{
	if (c->state == CONNECTION_FREE)
		return;
	answer_release(&c->answer);
	give_request(c);
	own_fd_close(&c->own);
	c->state = CONNECTION_FREE;
}

void connection_forget(struct connection *c)
{
	give_request(c);
	own_fd_close(&c->last);
	c->own = OWN_FD_NONE;
	c->state = CONNECTION_FREE;
}

/* ---- after the answer --------------------------------------------------- */

static void drain(struct connection *c)
{
	char unread[4096];
	for (;;) {
		long n = net_receive(c->own.fd, unread, sizeof(unread));
		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n > 0)
			c->drained_bytes += (size_t)n;
		if (n <= 0 || c->drained_bytes > DRAIN_BYTES) {
			connection_close(c);
			return;
		}
	}
}

static void begin_draining(struct connection *c)
{
	answer_release(&c->answer); /* a client that lingers holds no memory */
	net_end_sending(c->own.fd);
	enter(c, CONNECTION_DRAINING, CONNECTION_DRAIN_NS);
	drain(c);
}

/* ---- the answer --------------------------------------------------------- */

/* What to send next: the head, the text or the body. */
static const char *unsent(const struct connection *c, size_t *count)
{
	const struct answer *a = &c->answer;
	if (c->head_sent < c->head_bytes) {
		*count = c->head_bytes - c->head_sent;
		return c->head + c->head_sent;
	}
	*count = 0;
	if (a->head_only)
		return NULL;
	if (c->text_sent < a->text_bytes) {
		*count = a->text_bytes - c->text_sent;
		return a->text + c->text_sent;
	}
	return body_front(&a->body, count);
}

static void note_sent(struct connection *c, size_t count)
{
	if (c->head_sent < c->head_bytes)
		c->head_sent += count;
	else if (c->text_sent < c->answer.text_bytes)
		c->text_sent += count;
	else
		body_consume(&c->answer.body, count);
}

static void park(struct connection *c)
{
	give_request(c);
	c->state = CONNECTION_PARKED;
	c->deadline_ns = c->answer.due_ns;
}

/* A stream may be long, and its client may stop reading for a while. */
static void enter_sending(struct connection *c)
{
	if (c->answer.stream != NULL) {
		enter(c, CONNECTION_SENDING, CONNECTION_STREAM_NS);
		return;
	}
	enter(c, CONNECTION_SENDING, CONNECTION_STALL_NS);
	if (c->deadline_ns > c->answer_ends_ns)
		c->deadline_ns = c->answer_ends_ns;
}

static void send_on(struct connection *c)
{
	size_t count;
	const char *bytes;
	while ((bytes = unsent(c, &count)) != NULL && count > 0) {
		long n = net_send(c->own.fd, bytes, count);
		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0) {
			connection_close(c);
			return;
		}
		note_sent(c, (size_t)n);
		enter_sending(c);
	}
	if (c->answer.due_ns != 0)
		park(c);
	else
		begin_draining(c);
}

static void write_head(struct connection *c)
{
	const struct answer *a = &c->answer;
	c->head_bytes =
		http_write_head(c->head, &(struct http_response){
						 .status = a->status,
						 .type = a->type,
						 .allow = a->allow,
						 .missing = a->missing,
						 .filename = a->filename,
						 .body_bytes = a->text_bytes + a->body.bytes,
						 .retry = a->busy,
						 .is_endless = a->is_endless,
					 });
}

static void begin_sending(struct connection *c)
{
	give_request(c);
	if (c->head_bytes == 0)
		write_head(c);
	c->answer_ends_ns = clock_monotonic_ns() + CONNECTION_ANSWER_NS;
	enter_sending(c);
	send_on(c);
}

/* After the work on an answer: sends it, or parks until it is due. */
static void send_or_park(struct connection *c)
{
	if (work_was_cut())
		c->answer.missing = WORK_MISSING;
	work_end();
	if (c->answer.due_ns == 0 || c->answer.stream != NULL)
		begin_sending(c);
	else
		park(c);
}

void connection_refuse(struct connection *c, int status, const char *line)
{
	answer_refuse(&c->answer, status, "%s", line);
	begin_sending(c);
}

void connection_refuse_busy(struct connection *c, const char *line)
{
	answer_refuse_busy(&c->answer, line);
	begin_sending(c);
}

/* ---- the request -------------------------------------------------------- */

/*
 * A web page can make a browser send requests to loopback. If it uses its own host name, pointed
 * at loopback, Host is that name; if it posts across origins, Origin names the page. A browser
 * cannot reach a unix socket.
 */
static const char *foreign_page(const struct connection *c, const struct http_request *r)
{
	if (!c->is_tcp)
		return NULL;
	if (r->host != NULL && !http_host_is_loopback(r->host))
		return "Host is not loopback: use 127.0.0.1 or localhost";
	if (r->origin != NULL && !http_origin_is_loopback(r->origin))
		return "request from a web page of another site: send it directly";
	return NULL;
}

static void answer_request(struct connection *c, size_t head_bytes)
{
	struct http_request request;
	const char *problem = NULL;
	int status = http_parse(&request, c->request, head_bytes, &problem);
	c->answer.head_only = request.method == HTTP_HEAD;
	if (status == 0 && (problem = foreign_page(c, &request)) != NULL)
		status = 403;
	if (status != 0) {
		connection_refuse(c, status, problem);
		return;
	}
	work_begin(WORK_NS);
	handlers_begin(&c->answer, &request);
	send_or_park(c);
}

/* No more will arrive: the client closed its end, or its time ran out. */
static void end_reading(struct connection *c, int status, const char *line)
{
	if (c->received_bytes > 0)
		connection_refuse(c, status, line);
	else
		connection_close(c); /* it sent no request */
}

static void read_request(struct connection *c)
{
	long n = net_receive(c->own.fd, c->request + c->received_bytes,
			     HTTP_MAX_HEAD_BYTES - c->received_bytes);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n < 0) {
		connection_close(c);
		return;
	}
	if (n == 0) {
		end_reading(c, 400, "the request ends before the empty line after its headers");
		return;
	}
	c->received_bytes += (size_t)n;
	size_t head_bytes = http_head_bytes(c->request, c->received_bytes);
	if (head_bytes > 0)
		answer_request(c, head_bytes);
	else if (c->received_bytes == HTTP_MAX_HEAD_BYTES)
		connection_refuse(c, 431, "request longer than 8192 bytes: send fewer headers");
}

/* ---- one step ----------------------------------------------------------- */

bool connection_is_busy(const struct connection *c)
{
	return c->state == CONNECTION_READING ||
	       (c->state == CONNECTION_SENDING && c->answer.stream == NULL);
}

bool connection_is_due(const struct connection *c, uint64_t now_ns)
{
	return c->state == CONNECTION_PARKED && now_ns >= c->deadline_ns;
}

short connection_events(const struct connection *c)
{
	switch (c->state) {
	case CONNECTION_READING:
	case CONNECTION_DRAINING:
		return POLLIN;
	case CONNECTION_SENDING:
		return POLLOUT;
	case CONNECTION_PARKED:
		/* not POLLIN: bytes that it sent early wait */
		return c->answer.may_be_early ? POLLRDHUP : 0;
	case CONNECTION_FREE:
		break;
	}
	return 0;
}

static void finish(struct connection *c)
{
	work_begin(WORK_NS);
	handlers_finish(&c->answer);
	send_or_park(c);
}

/* On TCP, the end of sending and a close look the same. */
static void step_on_end(struct connection *c, short events)
{
	if (c->is_tcp || (events & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		connection_close(c);
	else
		finish(c);
}

static void step_on_event(struct connection *c, short events)
{
	switch (c->state) {
	case CONNECTION_READING:
		read_request(c);
		break;
	case CONNECTION_SENDING:
		send_on(c);
		break;
	case CONNECTION_DRAINING:
		drain(c);
		break;
	case CONNECTION_PARKED:
		step_on_end(c, events);
		break;
	case CONNECTION_FREE:
		break;
	}
}

static void step_on_deadline(struct connection *c)
{
	switch (c->state) {
	case CONNECTION_READING:
		end_reading(c, 408, "the request did not arrive within 5 seconds");
		break;
	case CONNECTION_PARKED:
		finish(c);
		break;
	case CONNECTION_SENDING:
	case CONNECTION_DRAINING:
		connection_close(c);
		break;
	case CONNECTION_FREE:
		break;
	}
}

void connection_step(struct connection *c, short events, uint64_t now_ns)
{
	if (c->state == CONNECTION_FREE || (events == 0 && now_ns < c->deadline_ns))
		return;
	if (!own_fd_is_ours(&c->own)) {
		connection_close(c); /* does not touch the descriptor */
		return;
	}
	/* Data that arrived in time counts even if the server was late; data that trickles in
	 * does not extend the time. */
	if (events != 0)
		step_on_event(c, events);
	if (now_ns >= c->deadline_ns)
		step_on_deadline(c);
}
