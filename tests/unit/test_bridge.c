/*
 * The Go package's interface, with this test as the package: its requests to the server,
 * and its answers, good and bad.
 */
#include "child.h"
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/state.h"
#include "go/bridge.h"
#include "record/control.h"
#include "hook/real.h"
#include "serve/server.h"
#include "serve/status.h"

static struct cgoheap_bridge_about about;

static int want(enum cgoheap_bridge_want what)
{
	return bridge_want(CGOHEAP_BRIDGE_PROTOCOL, "9.8.7", what, &about);
}

static void begin(void)
{
	real_resolve();
	CHECK(region_init(32 * MIB) == 0);
	control_init(&(struct control_start){.sample_bytes = 524288, .is_dormant = true});
	STORE(&shim_state, SHIM_ACTIVE);
}

/* Serves without a named socket and without TCP. */
static void serve(void)
{
	begin();
	bridge_open(server_start);
}

/* A blocking stream, as client.h expects. */
static int connection(void)
{
	int fd = want(CGOHEAP_BRIDGE_REQUEST);
	CHECK(fd >= 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

/* ---- requests ------------------------------------------------------------ */

static void a_request_needs_no_socket_with_a_name(void)
{
	serve();
	CHECK(server_start() == -1); /* nothing to serve */
	for (int i = 0; i < 20; i++) {
		struct response r = ask(connection(), "GET /v1/status HTTP/1.0\r\n\r\n");
		CHECK(r.status == 200 && strstr(r.body, "\"state\":\"dormant\"") && r.clean_end);
		free(r.bytes);
	}
}
CASE(a_request_needs_no_socket_with_a_name)

/* 8 at a time are served; two more are refused, and any others do not wait forever. */
static void too_many_at_once_are_told(void)
{
	int fds[12], served = 0, refused = 0, dropped = 0;
	serve();
	for (int i = 0; i < 12; i++)
		fds[i] = connection();
	struct timespec pause = {.tv_nsec = 300000000};
	nanosleep(&pause, NULL); /* until all have been accepted */
	for (int i = 0; i < 12; i++) {
		struct response r = ask(fds[i], "GET / HTTP/1.0\r\n\r\n");
		served += r.status == 200;
		refused += r.status == 503;
		dropped += r.status == 0;
		free(r.bytes);
	}
	CHECK(served >= 8 && refused <= 4 && served + refused == 12 && dropped == 0);
}
CASE(too_many_at_once_are_told)

static void who_asks_for_something_else_is_refused(void)
{
	serve();
	CHECK(bridge_want(CGOHEAP_BRIDGE_PROTOCOL + 1, "2.0.0", CGOHEAP_BRIDGE_REQUEST, &about) ==
	      -EPROTO);
	CHECK(about.protocol == CGOHEAP_BRIDGE_PROTOCOL && !about.is_passive);
	CHECK(strcmp(about.version, CGOHEAP_VERSION) == 0);
	CHECK(bridge_want(CGOHEAP_BRIDGE_PROTOCOL + 1, "2.0.0", CGOHEAP_BRIDGE_ABOUT, &about) == 0);
	CHECK(want((enum cgoheap_bridge_want)77) == -EINVAL);
	STORE(&shim_state, SHIM_PASSIVE);
	shim_passive_reason = "child of fork";
	CHECK(want(CGOHEAP_BRIDGE_FIGURES) == -ENOTSUP);
	CHECK(about.is_passive && strcmp(about.passive_reason, "child of fork") == 0);
	CHECK(want(CGOHEAP_BRIDGE_ABOUT) == 0);
}
CASE(who_asks_for_something_else_is_refused)

/* The program has closed every descriptor it found, and the numbers now name other files. */
static void taken_descriptors_are_left_alone(void)
{
	int pipe_fds[2];
	serve();
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	CHECK(pipe(pipe_fds) == 0);
	for (int fd = 200; fd < 210; fd++)
		CHECK(dup2(pipe_fds[1], fd) == fd);
	CHECK(want(CGOHEAP_BRIDGE_REQUEST) == -EBADF);
	CHECK(want(CGOHEAP_BRIDGE_FIGURES) == -EBADF);
	struct pollfd p = {.fd = pipe_fds[0], .events = POLLIN};
	CHECK(poll(&p, 1, 100) == 0); /* nothing was written there */
	for (int fd = 200; fd < 210; fd++)
		CHECK(fcntl(fd, F_GETFD) >= 0);
}
CASE(taken_descriptors_are_left_alone)

/* ---- figures ------------------------------------------------------------- */

/* This thread acts as the server: no other thread runs the loop. */
static int attached(void)
{
	int fd;
	begin();
	bridge_open(server_start);
	server_after_fork_in_child(); /* prevents the server's thread */
	bridge_open(server_start);
	fd = want(CGOHEAP_BRIDGE_FIGURES);
	CHECK(fd >= 0 && !bridge_is_attached());
	CHECK(bridge_accept() == -1 && bridge_is_attached());
	CHECK(strcmp(bridge_package_version(), "9.8.7") == 0);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

/* How the package answers its questions. */
static struct {
	int fd;
	void (*answer)(int fd, struct cgoheap_bridge_message question);
} package;

static void *answers(void *unused)
{
	struct cgoheap_bridge_message question;
	while (recv(package.fd, &question, sizeof(question), 0) == sizeof(question))
		package.answer(package.fd, question);
	return unused;
}

static void with_package(void (*answer)(int fd, struct cgoheap_bridge_message question))
{
	pthread_t thread;
	package.fd = attached();
	package.answer = answer;
	CHECK(pthread_create(&thread, NULL, answers, NULL) == 0);
}

struct figures {
	struct cgoheap_bridge_message head;
	uint64_t figures[CGOHEAP_GO_FIGURES];
};

static struct figures figures_for(struct cgoheap_bridge_message question)
{
	struct figures f = {.head = question};
	for (uint64_t i = 0; i < CGOHEAP_GO_FIGURES; i++)
		f.figures[i] = 1000 * question.sequence + i;
	return f;
}

static void well(int fd, struct cgoheap_bridge_message question)
{
	struct figures f = figures_for(question);
	CHECK(question.kind == CGOHEAP_BRIDGE_ASK_FIGURES);
	send(fd, &f, sizeof(f), 0);
}

static void figures_come(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	with_package(well);
	for (uint64_t i = 1; i <= 3; i++) {
		CHECK(bridge_read_figures(figures) == 0);
		CHECK(figures[0] == 1000 * i && figures[CGOHEAP_GO_LAST_GC] == 1000 * i + 19);
	}
	CHECK(bridge_missed() == 0);
}
CASE(figures_come)

static void as_an_older_package(int fd, struct cgoheap_bridge_message question)
{
	struct figures f = figures_for(question);
	send(fd, &f, sizeof(f.head) + CGOHEAP_GO_FIRST * sizeof(*f.figures), 0);
}

static void an_older_package_lacks_the_later_figures(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	with_package(as_an_older_package);
	CHECK(bridge_read_figures(figures) == 0 && figures[CGOHEAP_GO_LAST_GC] == 1019);
	for (int i = CGOHEAP_GO_FIRST; i < CGOHEAP_GO_FIGURES; i++)
		CHECK(figures[i] == CGOHEAP_BRIDGE_UNKNOWN);
	CHECK(bridge_missed() == 0);
}
CASE(an_older_package_lacks_the_later_figures)

/* Of a release in between: some of the later figures. */
static void as_a_package_in_between(int fd, struct cgoheap_bridge_message question)
{
	struct figures f = figures_for(question);
	send(fd, &f, sizeof(f.head) + (CGOHEAP_GO_FIRST + 2) * sizeof(*f.figures), 0);
}

static void a_package_in_between_has_what_it_knows(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	with_package(as_a_package_in_between);
	CHECK(bridge_read_figures(figures) == 0);
	CHECK(figures[CGOHEAP_GO_FIRST + 1] == 1000 + CGOHEAP_GO_FIRST + 1);
	for (int i = CGOHEAP_GO_FIRST + 2; i < CGOHEAP_GO_FIGURES; i++)
		CHECK(figures[i] == CGOHEAP_BRIDGE_UNKNOWN);
}
CASE(a_package_in_between_has_what_it_knows)

static void as_a_newer_package(int fd, struct cgoheap_bridge_message question)
{
	struct {
		struct figures f;
		uint64_t more[3];
	} message = {.f = figures_for(question)};
	send(fd, &message, sizeof(message), 0);
}

static void a_newer_packages_figures_are_left_out(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	with_package(as_a_newer_package);
	for (uint64_t i = 1; i <= 2; i++) {
		CHECK(bridge_read_figures(figures) == 0);
		CHECK(figures[CGOHEAP_GO_FIGURES - 1] == 1000 * i + CGOHEAP_GO_FIGURES - 1);
	}
}
CASE(a_newer_packages_figures_are_left_out)

static void silently(int fd, struct cgoheap_bridge_message question)
{
	(void)fd, (void)question;
}

/* The scrape waits for 100 ms, not forever. */
static void figures_that_do_not_come_are_missed(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	with_package(silently);
	uint64_t start_ns = clock_monotonic_ns();
	CHECK(bridge_read_figures(figures) && bridge_missed() == 1);
	uint64_t took_ns = clock_monotonic_ns() - start_ns;
	CHECK(took_ns >= BRIDGE_FIGURES_NS && bridge_is_attached());
}
CASE(figures_that_do_not_come_are_missed)

/* The first answer arrives after the second question, before that question's answer. */
static void late(int fd, struct cgoheap_bridge_message question)
{
	static struct figures first;
	if (question.sequence == 1) {
		first = figures_for(question);
		return;
	}
	send(fd, &first, sizeof(first), 0);
	well(fd, question);
}

static void late_figures_are_not_taken_for_new_ones(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	with_package(late);
	CHECK(bridge_read_figures(figures));
	CHECK(bridge_read_figures(figures) == 0 && figures[0] == 2000);
}
CASE(late_figures_are_not_taken_for_new_ones)

/* Too short, too long, of another kind, and empty. */
static void nonsense(int fd, struct cgoheap_bridge_message question)
{
	struct {
		struct figures f;
		uint64_t more;
	} message = {.f = figures_for(question)};
	size_t bytes[] = {1, sizeof(question), sizeof(message.f) - 4, sizeof(message)};
	send(fd, &message, bytes[question.sequence % 4], 0);
	message.f.head.kind = 99;
	send(fd, &message, sizeof(message.f), 0);
}

static void nonsense_is_no_figure(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	with_package(nonsense);
	for (int i = 0; i < 4; i++)
		CHECK(bridge_read_figures(figures) || i == 2);
}
CASE(nonsense_is_no_figure)

static void a_package_that_is_gone_is_no_more_asked(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	const uint8_t *bytes;
	size_t count;
	struct scratch s = SCRATCH_INIT(MIB);
	close(attached());
	CHECK(bridge_read_figures(figures) && !bridge_is_attached());
	CHECK(*bridge_package_version() == 0 && bridge_missed() == 1);
	CHECK(bridge_read_figures(figures) && bridge_read_heap(&s, &bytes, &count));
	CHECK(bridge_missed() == 1);
}
CASE(a_package_that_is_gone_is_no_more_asked)

/* A second copy of the package, or the same one twice. */
static void the_last_one_counts(void)
{
	char byte;
	int first = attached(), second = want(CGOHEAP_BRIDGE_FIGURES);
	CHECK(second >= 0 && bridge_accept() == -1 && bridge_is_attached());
	CHECK(recv(first, &byte, 1, 0) == 0);
}
CASE(the_last_one_counts)

static void descriptor_taken(void)
{
	uint64_t figures[CGOHEAP_GO_FIGURES];
	attached();
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	CHECK(bridge_read_figures(figures) && !bridge_is_attached());
}
CASE(descriptor_taken)

/* ---- the heap's profile -------------------------------------------------- */

static size_t profile_bytes;

static void in_pieces(int fd, struct cgoheap_bridge_message question)
{
	static struct {
		struct cgoheap_bridge_message head;
		uint8_t bytes[CGOHEAP_BRIDGE_PIECE_BYTES];
	} piece;
	CHECK(question.kind == CGOHEAP_BRIDGE_ASK_HEAP);
	piece.head = question;
	piece.head.bytes = profile_bytes;
	for (size_t at = 0; at == 0 || at < profile_bytes; at += CGOHEAP_BRIDGE_PIECE_BYTES) {
		size_t left = profile_bytes - at;
		size_t n = left < CGOHEAP_BRIDGE_PIECE_BYTES ? left : CGOHEAP_BRIDGE_PIECE_BYTES;
		for (size_t i = 0; i < n; i++)
			piece.bytes[i] = (uint8_t)((at + i) % 251);
		send(fd, &piece, sizeof(piece.head) + n, 0);
	}
}

static void heap_profile_comes_whole(void)
{
	static const size_t sizes[] = {1, 100, CGOHEAP_BRIDGE_PIECE_BYTES,
				       CGOHEAP_BRIDGE_PIECE_BYTES + 1, 3 * MIB};
	with_package(in_pieces);
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		struct scratch s = SCRATCH_INIT(4 * MIB);
		const uint8_t *bytes;
		size_t count;
		profile_bytes = sizes[k];
		CHECK(bridge_read_heap(&s, &bytes, &count) == 0 && count == sizes[k]);
		for (size_t i = 0; i < count; i++)
			CHECK(bytes[i] == i % 251);
		scratch_release(&s);
	}
	CHECK(bridge_missed() == 0);
}
CASE(heap_profile_comes_whole)

static void none_or_too_large_a_profile(void)
{
	struct scratch s = SCRATCH_INIT(MIB);
	const uint8_t *bytes;
	size_t count;
	with_package(in_pieces);
	profile_bytes = 0;
	CHECK(bridge_read_heap(&s, &bytes, &count));
	profile_bytes = 2 * MIB; /* more than fits */
	CHECK(bridge_read_heap(&s, &bytes, &count) && s.exhausted);
	scratch_release(&s);
	s = (struct scratch)SCRATCH_INIT(64 * MIB);
	profile_bytes = BRIDGE_HEAP_MAX_BYTES + 1;
	CHECK(bridge_read_heap(&s, &bytes, &count));
	CHECK(bridge_missed() == 3);
	scratch_release(&s);
}
CASE(none_or_too_large_a_profile)

/* After one timeout, the next caller gets an answer at once and no question is sent. */
static void one_that_does_not_come_is_not_asked_again_at_once(void)
{
	struct scratch s = SCRATCH_INIT(MIB);
	const uint8_t *bytes;
	size_t count;
	with_package(silently);
	CHECK(bridge_read_heap(&s, &bytes, &count) && bridge_missed() == 1);
	CHECK(bridge_read_heap(&s, &bytes, &count) && bridge_missed() == 1);
	scratch_release(&s);
}
CASE(one_that_does_not_come_is_not_asked_again_at_once)

/* More bytes than announced. */
static void overrun(int fd, struct cgoheap_bridge_message question)
{
	struct {
		struct cgoheap_bridge_message head;
		uint8_t bytes[100];
	} piece = {.head = question};
	piece.head.bytes = 150;
	send(fd, &piece, sizeof(piece), 0);
	send(fd, &piece, sizeof(piece), 0);
}

static void a_profile_does_not_grow(void)
{
	struct scratch s = SCRATCH_INIT(MIB);
	const uint8_t *bytes;
	size_t count;
	with_package(overrun);
	CHECK(bridge_read_heap(&s, &bytes, &count));
}
CASE(a_profile_does_not_grow)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_needs_no_socket_with_a_name),
		cmocka_unit_test(test_too_many_at_once_are_told),
		cmocka_unit_test(test_who_asks_for_something_else_is_refused),
		cmocka_unit_test(test_taken_descriptors_are_left_alone),
		cmocka_unit_test(test_figures_come),
		cmocka_unit_test(test_an_older_package_lacks_the_later_figures),
		cmocka_unit_test(test_a_package_in_between_has_what_it_knows),
		cmocka_unit_test(test_a_newer_packages_figures_are_left_out),
		cmocka_unit_test(test_figures_that_do_not_come_are_missed),
		cmocka_unit_test(test_late_figures_are_not_taken_for_new_ones),
		cmocka_unit_test(test_nonsense_is_no_figure),
		cmocka_unit_test(test_a_package_that_is_gone_is_no_more_asked),
		cmocka_unit_test(test_the_last_one_counts),
		cmocka_unit_test(test_descriptor_taken),
		cmocka_unit_test(test_heap_profile_comes_whole),
		cmocka_unit_test(test_none_or_too_large_a_profile),
		cmocka_unit_test(test_one_that_does_not_come_is_not_asked_again_at_once),
		cmocka_unit_test(test_a_profile_does_not_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
