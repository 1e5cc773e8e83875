/*
 * One client: its request as it arrives, the answer as the socket takes it.
 *
 * A connection never waits: each step does what can be done now and says what
 * to poll for and until when.  It carries one request and is closed after it
 * (Connection: close).  After the answer it reads on for a moment what the
 * client still sends: closing over unread bytes would reset the connection and
 * could destroy the answer on its way.
 *
 * One that waits for its answer to be due holds its descriptor and its baseline,
 * and nothing that others need.  A client on a unix socket that ends its sending
 * while it waits (shutdown, not close) has its answer at once, where that may be.
 */
#ifndef CGOHEAP_CONNECTION_H
#define CGOHEAP_CONNECTION_H

#include "base/base.h"
#include "base/ownfd.h"
#include "text/http.h"
#include "serve/handlers.h"

#define CONNECTION_REQUEST_NS UINT64_C(5000000000)   /* to send the request */
#define CONNECTION_STALL_NS   UINT64_C(5000000000)   /* without taking a byte of the answer */
#define CONNECTION_ANSWER_NS  UINT64_C(120000000000) /* to take all of it */
#define CONNECTION_DRAIN_NS   UINT64_C(1000000000)   /* to close its end after the answer */

enum connection_state {
	CONNECTION_FREE,
	CONNECTION_READING,
	CONNECTION_PARKED, /* until its answer is due */
	CONNECTION_SENDING,
	CONNECTION_DRAINING,
};

struct connection {
	enum connection_state state;
	struct own_fd own;
	struct own_fd last; /* the same, and kept after it is closed: see connection_forget */
	bool is_tcp;
	uint64_t deadline_ns;    /* of this state */
	uint64_t answer_ends_ns; /* at the latest */
	size_t received_bytes;   /* of the head */
	size_t drained_bytes;
	struct answer answer;
	char head[HTTP_RESPONSE_BYTES];
	size_t head_bytes, head_sent, text_sent;
	char *request; /* HTTP_MAX_HEAD_BYTES while it is read, else NULL */
};

#define CONNECTION_READERS 16 /* whose request is read at a time */

/* Takes over an accepted socket and reads its request; one beyond the readers is to be refused. */
void connection_open(struct connection *c, int fd, bool is_tcp);
/* It is read or answered, and so counts against what is served at a time. */
bool connection_is_busy(const struct connection *c);
/* Its answer is due: the next step builds it, which may take milliseconds. */
bool connection_is_due(const struct connection *c, uint64_t now_ns);
/* Instead of whatever it asks for. */
void connection_refuse(struct connection *c, int status, const char *line);
void connection_refuse_busy(struct connection *c, const char *line);

short connection_events(const struct connection *c); /* to poll for */
/* After poll, also where nothing happened: time may have run out. */
void connection_step(struct connection *c, short events, uint64_t now_ns);
/* Gives everything back; the descriptor only if it is still ours. */
void connection_close(struct connection *c);
/*
 * In a child of fork: closes the child's copy of the descriptor and forgets the
 * rest, which may have been in the middle of a change.  The kernel copies
 * descriptors before memory: one that the parent closed in between is open here,
 * and only `last` still knows it.
 */
void connection_forget(struct connection *c);

#endif
