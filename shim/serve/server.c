/*
 * The loop: two listening sockets, a few connections, and timed work for other modules.
 * Everything here except bind and start runs on the server's thread.
 */
#include "serve/server.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/netsys.h"
#include "base/seccomp.h"
#include "config/log.h"
#include "go/bridge.h"
#include "record/cohorts.h"
#include "record/control.h"
#include "record/sample.h"
#include "record/sighandlers.h"
#include "record/stacks_reclaim.h"
#include "hook/ownthread.h"
#include "account/cgowatch.h"
#include "account/loadedwatch.h"
#include "account/peakwatch.h"
#include "account/worker.h"
#include "profile/symbol_cache.h"
#include "recorder/recorder.h"
#include "serve/connection.h"
#include "serve/endpoint.h"
#include "serve/events.h"

#define SERVED CONNECTION_READERS /* connections read or answered at a time */
#define SPARE  4                  /* for further connections, which get an error */
#define PLACES (SERVED + SPARE + BASELINES_MAX + HANDLERS_TRIMS + EVENTS_STREAMS)

#define RETRY_NS UINT64_C(1000000000) /* between tries of a missing listener */

/* The pause when the host is out of descriptors or poll fails, so that the loop never spins. */
#define PAUSE_NS UINT64_C(100000000)

#define LOOK_EVERY_NS UINT64_C(900000000)

enum { UNIX, TCP, LISTENERS };
enum { INBOX = LISTENERS, FIRST_CONNECTION }; /* indexes of what is polled */

static struct {
	struct own_fd listeners[LISTENERS];
	struct connection connections[PLACES];
	uint64_t accept_again_ns; /* end of a pause */
	char socket_path[CONFIG_PATH_BYTES];
	uint16_t tcp_port;
	bool is_retried[LISTENERS]; /* missing now, but may be bound later */
	uint64_t retry_ns;
	struct config config;      /* for retries */
	enum seccomp_mode seccomp; /* at the start */
	uint64_t looked_ns;        /* for a sandbox; seldom: see procinfo_resident */
	bool started;
} server = {.listeners = {{.fd = -1}, {.fd = -1}}};

const char *server_socket_path(void)
{
	return server.socket_path;
}

uint16_t server_tcp_port(void)
{
	return server.tcp_port;
}

bool server_is_retrying(void)
{
	return server.is_retried[UNIX] || server.is_retried[TCP];
}

/* ---- listening ------------------------------------------------------------ */

/* Returns 0 or -1. */
static int listener_open(int listener, bool quiet)
{
	const struct config *c = &server.config;
	struct own_fd *own = &server.listeners[listener];
	int result = listener == UNIX ? endpoint_open_unix(own, c, quiet, server.socket_path)
				      : endpoint_open_tcp(own, c->listen_address, c->listen_port,
							  quiet, &server.tcp_port);
	server.is_retried[listener] = result == ENDPOINT_TAKEN;
	return result == 0 ? 0 : -1;
}

/* Waiting connections hold at most a sixteenth of the host's descriptors. */
static void bound_waiting(void)
{
	struct rlimit limit;
	if (sys_call(prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0)
		baseline_set_places(limit.rlim_cur / 16);
}

int server_bind(const struct config *config)
{
	bound_waiting();
	server.config = *config;
	server.seccomp = LOAD(&seccomp_seen); /* the constructor has just looked */
	server.looked_ns = clock_monotonic_ns();
	int result = listener_open(UNIX, false);
	if (config->listen && listener_open(TCP, false) != 0)
		result = -1;
	bridge_open(server_start);
	return result;
}

/*
 * When a service restarts, its old process may still hold the path or the port that both were
 * given; and a host may close descriptors that it does not know. Returns the nanoseconds until
 * the next try.
 */
static uint64_t retry_tick(void)
{
	uint64_t now_ns = clock_monotonic_ns();
	if (!server_is_retrying())
		return UINT64_MAX;
	if (now_ns < server.retry_ns)
		return server.retry_ns - now_ns;
	for (int i = 0; i < LISTENERS; i++)
		if (server.is_retried[i])
			listener_open(i, true);
	server.retry_ns = now_ns + RETRY_NS;
	return RETRY_NS;
}

/* ---- new connections ---------------------------------------------------- */

/* A free one; otherwise the lingering one that was answered longest ago; otherwise NULL. */
static struct connection *find_room(void)
{
	struct connection *room = NULL;
	for (struct connection *c = server.connections; c < server.connections + PLACES; c++) {
		if (c->state == CONNECTION_FREE)
			return c;
		if (c->state == CONNECTION_DRAINING &&
		    (room == NULL || c->deadline_ns < room->deadline_ns))
			room = c;
	}
	return room;
}

/* Connections whose answer is not due do not count: there is a place for each of them. */
static struct connection *room_for_one(bool *is_spare)
{
	size_t busy = 0;
	for (size_t i = 0; i < PLACES; i++)
		busy += connection_is_busy(&server.connections[i]);
	*is_spare = busy >= SERVED;
	return busy < SERVED + SPARE ? find_room() : NULL;
}

/* The directory already keeps others out; this check also holds if its mode was changed. */
static bool peer_may_ask(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);
	return net_get_option(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       (peer.uid == 0 || peer.uid == sys_geteuid());
}

static void greet(struct connection *c, int fd, int from, bool is_spare)
{
	connection_close(c);
	connection_open(c, fd, from == TCP);
	if (from == UNIX && !peer_may_ask(fd))
		connection_refuse(c, 403, "only the user of this process, or root, may connect");
	else if (is_spare)
		connection_refuse_busy(c, "16 requests are in progress: retry when one ends");
	else /* most have already sent their request and are finished in this step */
		connection_step(c, POLLIN, clock_monotonic_ns());
}

/* The host took over our descriptor. */
static void lose_listener(int listener)
{
	own_fd_close(&server.listeners[listener]);
	if (listener == UNIX)
		server.socket_path[0] = '\0';
	else
		server.tcp_port = 0;
}

/*
 * One per turn, so that no client gets a busy answer because of an earlier client that has
 * already hung up: poll reports that hang-up no later than the new client.
 */
static void accept_one(int listener)
{
	bool is_spare;
	struct connection *c = room_for_one(&is_spare);
	if (c == NULL)
		return;
	long fd = net_accept(server.listeners[listener].fd);
	if (fd >= 0)
		greet(c, (int)fd, listener, is_spare);
	else if (fd != -EAGAIN && fd != -EINTR && fd != -ECONNABORTED)
		/* Probably out of descriptors; the client stays in the backlog. */
		server.accept_again_ns = clock_monotonic_ns() + PAUSE_NS;
}

static void listener_step(int listener, short events)
{
	if (events == 0)
		return;
	if ((events & POLLNVAL) != 0 || !own_fd_is_ours(&server.listeners[listener])) {
		lose_listener(listener);
		server.is_retried[listener] = true;
		server.retry_ns = clock_monotonic_ns() + RETRY_NS;
	} else
		accept_one(listener);
}

/* One per turn, as above. */
static void inbox_step(short events)
{
	bool is_spare;
	int fd = events != 0 ? bridge_accept() : -1;
	if (fd < 0)
		return;
	struct connection *c = room_for_one(&is_spare);
	if (c != NULL)
		greet(c, fd, INBOX, is_spare);
	else
		sys_close(fd);
}

/* ---- one turn ----------------------------------------------------------- */

static void sleep_until(uint64_t *wait_ns, uint64_t then_ns, uint64_t now_ns)
{
	uint64_t left = then_ns > now_ns ? then_ns - now_ns : 0;
	if (left < *wait_ns)
		*wait_ns = left;
}

/* Fills the poll list: the listeners, the inbox, then the connections, each at a fixed index. */
static uint64_t prepare(struct pollfd *list, uint64_t wait_ns)
{
	uint64_t now_ns = clock_monotonic_ns();
	bool is_spare;
	bool may_accept = now_ns >= server.accept_again_ns && room_for_one(&is_spare) != NULL;
	if (now_ns < server.accept_again_ns)
		sleep_until(&wait_ns, server.accept_again_ns, now_ns);
	for (int i = 0; i < LISTENERS; i++)
		list[i] = (struct pollfd){
			.fd = may_accept ? server.listeners[i].fd : -1,
			.events = POLLIN,
		};
	list[INBOX] = (struct pollfd){.fd = may_accept ? bridge_inbox() : -1, .events = POLLIN};
	for (int i = 0; i < PLACES; i++) {
		const struct connection *c = &server.connections[i];
		bool is_free = c->state == CONNECTION_FREE;
		list[FIRST_CONNECTION + i] = (struct pollfd){
			.fd = is_free ? -1 : c->own.fd,
			.events = connection_events(c),
		};
		if (!is_free)
			sleep_until(&wait_ns, c->deadline_ns, now_ns);
	}
	return wait_ns;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u),
	};
}

/* Only existing descriptors: the kernel refuses a list longer than the descriptor limit. */
static long poll_those(struct pollfd *list, size_t n, const struct timespec *timeout)
{
	struct pollfd there[FIRST_CONNECTION + PLACES];
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		if (list[i].fd >= 0)
			there[count++] = list[i];
	long r = net_poll(there, count, timeout);
	count = 0;
	for (size_t i = 0; i < n; i++)
		list[i].revents = list[i].fd >= 0 ? there[count++].revents : 0;
	return r;
}

/* -1 if the state of the descriptors is unknown. */
static int wait_for_events(struct pollfd *list, size_t n, uint64_t wait_ns)
{
	struct timespec timeout = to_timespec(wait_ns);
	long r = poll_those(list, n, wait_ns == UINT64_MAX ? NULL : &timeout);
	if (r >= 0)
		return 0;
	if (r != -EINTR) {
		/* A sandbox: a descriptor limit below the number in use makes the kernel
		 * refuse the whole list, or a filter refuses the call. Do not spin on the
		 * host's processor. */
		timeout = to_timespec(PAUSE_NS);
		sys_call(nanosleep, &timeout, 0);
	}
	return -1;
}

/* Runs timed work, late by at most one answer. Returns the nanoseconds until the next. */
static uint64_t tick(void)
{
	/* Reclaims room before control judges it. */
	const uint64_t next_ns[] = {stacks_reclaim_tick(), control_tick(),     recorder_tick(),
				    retry_tick(),          cgowatch_tick(),    peakwatch_tick(),
				    symbol_cache_tick(),   loadedwatch_tick(), cohorts_tick()};
	uint64_t wait_ns = UINT64_MAX;
	for (size_t i = 0; i < COUNT_OF(next_ns); i++)
		wait_ns = next_ns[i] < wait_ns ? next_ns[i] : wait_ns;
	return wait_ns;
}

/* Builds one due answer per turn, so that a new client waits for at most one of them. */
static void step_connections(const struct pollfd *list, uint64_t now_ns)
{
	bool finished = false;
	for (int i = 0; i < PLACES; i++) {
		struct connection *c = &server.connections[i];
		bool is_due = connection_is_due(c, now_ns);
		if (!is_due || !finished)
			connection_step(c, list[FIRST_CONNECTION + i].revents, now_ns);
		if (is_due || list[FIRST_CONNECTION + i].revents != 0)
			tick();
		finished = finished || is_due;
	}
}

/* The host may enter a sandbox at any time. Hooks may still do what a sandbox forbids
 * (saferead.h) for at most a second, because sampling wakes the server that often. */
static void look_for_sandbox(void)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (now_ns - server.looked_ns < LOOK_EVERY_NS)
		return;
	server.looked_ns = now_ns;
	seccomp_look();
	sighandlers_look();
}

static void turn(void)
{
	struct pollfd list[FIRST_CONNECTION + PLACES];
	uint64_t wait_ns = prepare(list, tick());
	look_for_sandbox();
	if (wait_for_events(list, COUNT_OF(list), wait_ns))
		for (size_t i = 0; i < COUNT_OF(list); i++)
			list[i].revents = 0;
	uint64_t now_ns = clock_monotonic_ns();
	/* Connections first: one that ends makes room for a new one. */
	step_connections(list, now_ns);
	for (int i = 0; i < LISTENERS; i++)
		listener_step(i, list[i].revents);
	inbox_step(list[INBOX].revents);
}

/* ---- the thread --------------------------------------------------------- */

/* In the directory where others leave their sockets. Not in a sandbox that was entered since
 * the start, which may kill for calls that only a start needs. */
static void sweep(void)
{
	if (server.config.socket_path[0] == '\0' && server.socket_path[0] != '\0' &&
	    seccomp_look() == server.seccomp)
		endpoint_sweep(server.socket_path);
}

static void *run(void *unused)
{
	sample_enter_as(BUSY_OWN); /* for good: the server's calls are not the host's */
	sys_call(prctl, PR_SET_NAME, "cgoheap", 0);
	sighandlers_look();
	sweep();
	for (;;)
		turn();
	return unused;
}

/* The socket will never be served, so connecting should fail. */
static void give_up(int error)
{
	char number[LOG_ERROR_BYTES];
	log_complain("cannot start the server thread: %s; the program continues without its socket",
		     log_error_text(error, number));
	if (server.listeners[UNIX].fd >= 0)
		sys_call(unlinkat, AT_FDCWD, server.socket_path);
	for (int i = 0; i < LISTENERS; i++)
		lose_listener(i);
}

/* Whether there is anything to serve. */
static bool is_wanted(void)
{
	return server.listeners[UNIX].fd >= 0 || server.listeners[TCP].fd >= 0 ||
	       server_is_retrying() || recorder_is_on() || bridge_is_wanted();
}

int server_start(void)
{
	int saved_errno = errno;
	if (LOAD(&server.started))
		return 0;
	if (!is_wanted())
		return -1;
	if (__atomic_exchange_n(&server.started, true, __ATOMIC_ACQ_REL))
		return 0;
	uint8_t before = sample_enter_as(BUSY_OWN);
	sighandlers_look();
	int error = ownthread_create(run);
	if (error == 0)
		/* Without it the account lacks the allocator's figures, and says so. */
		worker_start();
	if (error == 0)
		recorder_start();
	if (error != 0)
		give_up(error);
	sample_leave(before);
	errno = saved_errno;
	return error == 0 ? 0 : -1;
}

void server_after_fork_in_child(void)
{
	STORE(&server.started, true); /* nothing starts in a child */
	worker_after_fork_in_child();
	for (int i = 0; i < LISTENERS; i++)
		lose_listener(i);
	server.is_retried[UNIX] = server.is_retried[TCP] = false;
	bridge_forget();
	for (int i = 0; i < PLACES; i++)
		connection_forget(&server.connections[i]);
	baseline_forget_all();
	symbol_cache_forget();
	events_forget_all();
}

void server_bind_again(const struct config *config)
{
	server_bind(config);
	STORE(&server.started, false);
	server_start();
}
