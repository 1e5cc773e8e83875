/*
 * See bridge.h.  The inbox is a packet socket.  Any thread of the program writes
 * descriptor numbers to its other end; the kernel's socket buffer is the queue, and poll
 * wakes the server.
 */
#include "go/bridge.h"

#include <string.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/netsys.h"
#include "base/ownfd.h"
#include "base/state.h"
#include "base/work.h"

struct inbox_message {
	int32_t fd;
	uint32_t want;
	char version[32];
};

static struct {
	struct own_fd inbox;   /* the server's end */
	struct own_fd mailbox; /* the end that any thread may write to */
	uint32_t wanted;
	int (*start_server)(void);

	/* only the server's thread */
	struct own_fd figures; /* -1: no package attached */
	uint32_t sequence;
	uint64_t missed;
	uint64_t heap_rest_until_ns;
	char version[32]; /* of the package */
} bridge = {.inbox = {.fd = -1}, .mailbox = {.fd = -1}, .figures = {.fd = -1}};

/* ---- opening ------------------------------------------------------------ */

void bridge_open(int (*start_server)(void))
{
	int pair[2];

	bridge.start_server = start_server;
	if (net_pair(SOCK_SEQPACKET, pair) != 0)
		return;
	bridge.inbox = own_fd_take(pair[0]);
	bridge.mailbox = own_fd_take(pair[1]);
}

void bridge_forget(void)
{
	own_fd_close(&bridge.inbox);
	own_fd_close(&bridge.mailbox);
	own_fd_close(&bridge.figures);
	STORE(&bridge.wanted, 0);
	bridge.version[0] = '\0';
}

/* ---- any thread --------------------------------------------------------- */

static void describe(struct cgoheap_bridge_about *about)
{
	*about = (struct cgoheap_bridge_about){.protocol = CGOHEAP_BRIDGE_PROTOCOL,
					       .is_passive = shim_state_now() != SHIM_ACTIVE};
	ascii_copy(about->version, sizeof(about->version), CGOHEAP_VERSION);
	if (about->is_passive)
		ascii_copy(about->passive_reason, sizeof(about->passive_reason),
			   shim_passive_reason ? shim_passive_reason : "not started");
}

/* Puts the server's end into the inbox and returns the other. */
static int hand_over(enum cgoheap_bridge_want want, const char *version)
{
	struct inbox_message message = {.want = want};
	int pair[2];
	long n = net_pair(want == CGOHEAP_BRIDGE_REQUEST ? SOCK_STREAM : SOCK_SEQPACKET, pair);
	if (n != 0)
		return (int)n;
	message.fd = pair[1];
	ascii_copy(message.version, sizeof(message.version), version);
	n = own_fd_is_ours(&bridge.mailbox) ? net_send(bridge.mailbox.fd, &message, sizeof(message))
					    : -EBADF;
	if (n >= 0)
		return pair[0];
	sys_close(pair[0]);
	sys_close(pair[1]);
	return (int)n;
}

int bridge_want(uint32_t protocol, const char *version, enum cgoheap_bridge_want want,
		struct cgoheap_bridge_about *about)
{
	describe(about);
	if (want == CGOHEAP_BRIDGE_ABOUT)
		return 0;
	if (want != CGOHEAP_BRIDGE_REQUEST && want != CGOHEAP_BRIDGE_FIGURES)
		return -EINVAL;
	if (about->is_passive)
		return -ENOTSUP;
	if (protocol != CGOHEAP_BRIDGE_PROTOCOL)
		return -EPROTO;
	STORE(&bridge.wanted, 1);
	if (bridge.start_server)
		bridge.start_server(); /* usually running already */
	return hand_over(want, version);
}

bool bridge_is_wanted(void)
{
	return LOAD(&bridge.wanted) != 0;
}

/* ---- the inbox ---------------------------------------------------------- */

int bridge_inbox(void)
{
	return bridge.inbox.fd;
}

static void attach(const struct inbox_message *message)
{
	own_fd_close(&bridge.figures);
	bridge.figures = own_fd_take(message->fd);
	ascii_copy(bridge.version, sizeof(bridge.version), message->version);
}

static void detach(void)
{
	own_fd_close(&bridge.figures);
	bridge.version[0] = '\0';
}

int bridge_accept(void)
{
	struct inbox_message message;
	if (!own_fd_is_ours(&bridge.inbox)) {
		own_fd_close(&bridge.inbox);
		return -1;
	}
	if (net_receive(bridge.inbox.fd, &message, sizeof(message)) != sizeof(message))
		return -1;
	if (message.want == CGOHEAP_BRIDGE_REQUEST)
		return message.fd;
	attach(&message);
	return -1;
}

/* ---- questions to Go ---------------------------------------------------- */

bool bridge_is_attached(void)
{
	return bridge.figures.fd >= 0;
}

const char *bridge_package_version(void)
{
	return bridge.version;
}

uint64_t bridge_missed(void)
{
	return bridge.missed;
}

static int ask(uint32_t kind)
{
	struct cgoheap_bridge_message question = {.kind = kind, .sequence = ++bridge.sequence};
	if (bridge.figures.fd < 0)
		return -1;
	if (!own_fd_is_ours(&bridge.figures)) {
		detach();
		return -1;
	}
	long n = net_send(bridge.figures.fd, &question, sizeof(question));
	if (n == -EPIPE || n == -ECONNRESET)
		detach();
	return n == sizeof(question) ? 0 : -1;
}

static int wait_until(uint64_t deadline_ns)
{
	struct pollfd p = {.fd = bridge.figures.fd, .events = POLLIN};
	uint64_t now_ns = clock_monotonic_ns();
	if (now_ns >= deadline_ns)
		return -1;
	struct timespec left = {.tv_nsec = (long)((deadline_ns - now_ns) % 1000000000u),
				.tv_sec = (time_t)((deadline_ns - now_ns) / 1000000000u)};
	long n = net_poll(&p, 1, &left);
	return n > 0 || n == -EINTR ? 0 : -1;
}

/*
 * Receives the answer to the last question.  Returns its bytes, including the header; -1 if
 * none arrives in time.  Discards late answers to earlier questions.
 */
static long answer(uint32_t kind, void *message, size_t bytes, uint64_t deadline_ns)
{
	const struct cgoheap_bridge_message *head = message;
	for (;;) {
		long n = net_receive(bridge.figures.fd, message, bytes);
		if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)) {
			detach();
			return -1;
		}
		if (n >= (long)sizeof(*head) && head->kind == kind &&
		    head->sequence == bridge.sequence)
			return n;
		if (n < 0 && wait_until(deadline_ns))
			return -1;
	}
}

static int read_figures(uint64_t out[CGOHEAP_GO_FIGURES])
{
	struct {
		struct cgoheap_bridge_message head;
		uint64_t figures[CGOHEAP_GO_FIGURES];
	} message;
	size_t older = sizeof(message.head) + CGOHEAP_GO_FIRST * sizeof(*message.figures);
	uint64_t deadline_ns = clock_monotonic_ns() + work_wait_left(BRIDGE_FIGURES_NS);
	if (ask(CGOHEAP_BRIDGE_ASK_FIGURES))
		return -1;
	memset(message.figures, 0xff, sizeof(message.figures)); /* CGOHEAP_BRIDGE_UNKNOWN */
	long n = answer(CGOHEAP_BRIDGE_ASK_FIGURES, &message, sizeof(message), deadline_ns);
	if (n < (long)older || (n - (long)older) % (long)sizeof(*message.figures))
		return -1;
	memcpy(out, message.figures, sizeof(message.figures));
	return 0;
}

int bridge_read_figures(uint64_t out[CGOHEAP_GO_FIGURES])
{
	uint64_t began_ns = clock_monotonic_ns();
	if (!bridge_is_attached())
		return -1;
	bool is_read = read_figures(out) == 0;
	work_waited(clock_monotonic_ns() - began_ns);
	bridge.missed += !is_read;
	return is_read ? 0 : -1;
}

struct piece {
	struct cgoheap_bridge_message head;
	uint8_t bytes[CGOHEAP_BRIDGE_PIECE_BYTES];
};

static int read_pieces(struct scratch *scratch, uint8_t **out, size_t *total, uint64_t deadline_ns)
{
	struct piece *piece = scratch_alloc(scratch, sizeof(*piece));
	size_t got = 0;
	*out = NULL;
	if (!piece || ask(CGOHEAP_BRIDGE_ASK_HEAP))
		return -1;
	do {
		long n = answer(CGOHEAP_BRIDGE_ASK_HEAP, piece, sizeof(*piece), deadline_ns);
		if (n <= (long)sizeof(piece->head))
			return -1;
		size_t count = (size_t)n - sizeof(piece->head);
		if (!*out) {
			*total = piece->head.bytes;
			if (*total > BRIDGE_HEAP_MAX_BYTES)
				return -1;
			*out = scratch_alloc(scratch, *total);
		}
		if (!*out || count > *total - got)
			return -1;
		memcpy(*out + got, piece->bytes, count);
		got += count;
	} while (got < *total);
	return 0;
}

int bridge_read_heap(struct scratch *scratch, const uint8_t **bytes, size_t *count)
{
	uint8_t *whole;
	uint64_t began_ns = clock_monotonic_ns(), most_ns = work_wait_left(BRIDGE_HEAP_NS);
	if (!bridge_is_attached() || began_ns < bridge.heap_rest_until_ns)
		return -1;
	bool is_read = read_pieces(scratch, &whole, count, began_ns + most_ns) == 0;
	uint64_t now_ns = clock_monotonic_ns();
	work_waited(now_ns - began_ns);
	if (is_read)
		*bytes = whole;
	else if (now_ns - began_ns >= most_ns)
		bridge.heap_rest_until_ns = now_ns + BRIDGE_REST_NS;
	bridge.missed += !is_read;
	return is_read ? 0 : -1;
}
