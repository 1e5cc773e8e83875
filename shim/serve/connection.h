/*
 * One client connection: reads its request and writes the answer as fast as the socket accepts
 * it.
 *
 * A connection never blocks: each step does what is possible now and says what to poll for and
 * until when. It carries one request and is then closed (Connection: close). After the answer it
 * reads for a moment what the client still sends, because closing with unread bytes would reset
 * the connection and could destroy the answer on its way.
 *
 * A connection that waits until its answer is due holds its descriptor and its baseline, and no
 * shared resource. If a client on a unix socket ends its sending while it waits (shutdown, not
 * close), it is answered at once where an early answer is possible.
 */
#ifndef CGOHEAP_CONNECTION_H
#define CGOHEAP_CONNECTION_H

#include "base/base.h"
#include "base/ownfd.h"
#include "text/http.h"
#include "serve/handlers.h"

#define CONNECTION_REQUEST_NS UINT64_C(5000000000)   /* to send the request */
#define CONNECTION_STALL_NS   UINT64_C(5000000000)   /* without accepting a byte of the answer */
#define CONNECTION_ANSWER_NS  UINT64_C(120000000000) /* to accept the whole answer */
#define CONNECTION_STREAM_NS  UINT64_C(600000000000) /* a stream that is not read */
#define CONNECTION_DRAIN_NS   UINT64_C(1000000000)   /* to close its end after the answer */

enum connection_state {
	CONNECTION_FREE,
	CONNECTION_READING,
	CONNECTION_PARKED, /* until its answer is due, or the next part of a stream */
	CONNECTION_SENDING,
	CONNECTION_DRAINING,
};

struct connection {
	enum connection_state state;
	struct own_fd own;
	struct own_fd last; /* as fd, but kept after it is closed: see connection_forget */
	bool is_tcp;
	uint64_t deadline_ns;    /* of this state */
	uint64_t answer_ends_ns; /* at the latest */
	size_t received_bytes;   /* of the head */
	size_t drained_bytes;
	struct answer answer;
	char head[HTTP_RESPONSE_BYTES];
	size_t head_bytes, head_sent, text_sent;
	char *request; /* HTTP_MAX_HEAD_BYTES while reading, otherwise NULL */
};

#define CONNECTION_READERS 16 /* requests read at the same time */

/* Takes over an accepted socket and reads its request. The caller refuses connections beyond
 * CONNECTION_READERS. */
void connection_open(struct connection *c, int fd, bool is_tcp);
/* Being read or answered, and so counted against the limit of connections served. Streams have
 * places of their own. */
bool connection_is_busy(const struct connection *c);
/* Its answer is due: the next step builds it, which may take milliseconds. */
bool connection_is_due(const struct connection *c, uint64_t now_ns);
/* Refuses it, whatever it requests. */
void connection_refuse(struct connection *c, int status, const char *line);
void connection_refuse_busy(struct connection *c, const char *line);

short connection_events(const struct connection *c); /* to poll for */
/* Call after poll, even if nothing happened: a timeout may have expired. */
void connection_step(struct connection *c, short events, uint64_t now_ns);
/* Releases everything; closes the descriptor only if it is still ours. */
void connection_close(struct connection *c);
/*
 * In a child of fork: closes the child's copy of the descriptor and forgets the rest, which may
 * have been mid-change. The kernel copies descriptors before memory, so one that the parent
 * closed in between is open here, and only `last` still identifies it.
 */
void connection_forget(struct connection *c);

#endif
