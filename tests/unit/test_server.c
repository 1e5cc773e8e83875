/* The server's life in a host: its thread, its descriptors, forks. */
#include "child.h"
#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "region/region.h"
#include "record/control.h"
#include "hook/real.h"
#include "serve/endpoint.h"
#include "serve/server.h"

/* ---- a server in the child, its socket in a directory that goes with it ---- */

static char base[64];

static struct config a_config(void)
{
	struct config c = {.sample_bytes = 524288,
			   .max_memory_bytes = 8 * MIB,
			   .listen = true,
			   .listen_address = INADDR_LOOPBACK};
	snprintf(c.socket_path, sizeof(c.socket_path), "%s/a.sock", base);
	return c;
}

static void begin(void)
{
	struct config c;
	strcpy(base, "/tmp/cgoheap-test-XXXXXX");
	CHECK(mkdtemp(base) != NULL);
	c = a_config();
	real_resolve();
	CHECK(region_init(c.max_memory_bytes) == 0);
	control_init(&(struct control_start){.sample_bytes = c.sample_bytes, .is_dormant = true});
	CHECK(server_bind(&c) == 0);
}

static void end(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/a.sock", base);
	unlink(path);
	rmdir(base);
}

#define SERVER_CASE(f)                                                                             \
	static void f##_served(void)                                                               \
	{                                                                                          \
		begin();                                                                           \
		f();                                                                               \
		end();                                                                             \
	}                                                                                          \
	static void test_##f(void **state)                                                         \
	{                                                                                          \
		(void)state;                                                                       \
		run_in_child(f##_served);                                                          \
	}

#define GET_INDEX "GET / HTTP/1.0\r\n\r\n"

static bool answers(int fd)
{
	struct response r = ask(fd, GET_INDEX);
	bool good = r.status == 200 && strstr(r.body, "cgoheap") != NULL;
	free(r.bytes);
	return good;
}

/* A line of /proc/self/task/TID/status of the server's thread; "" if there is no thread. */
static const char *thread_status(const char *field)
{
	static char line[256];
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	while ((task = readdir(tasks)) != NULL) {
		char path[300];
		bool is_server = false;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
		FILE *f = fopen(path, "r");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
			is_server |= strcmp(line, "Name:\tcgoheap\n") == 0;
			if (is_server && strncmp(line, field, strlen(field)) == 0) {
				fclose(f);
				closedir(tasks);
				return line + strlen(field);
			}
		}
		if (f != NULL)
			fclose(f);
	}
	closedir(tasks);
	return "";
}

/* ---- the thread --------------------------------------------------------- */

static void bound_but_not_started_there_is_no_thread(void)
{
	CHECK(strcmp(thread_status("Name:"), "") == 0);
	CHECK(strlen(server_socket_path()) > 0 && server_tcp_port() != 0);
	int fd = connect_unix(server_socket_path()); /* waits in the backlog */
	CHECK(fd >= 0 && server_start() == 0);
	CHECK(answers(fd));
	CHECK(answers(connect_tcp(server_tcp_port())));
}
SERVER_CASE(bound_but_not_started_there_is_no_thread)

static void starts_once_and_leaves_the_caller_as_it_was(void)
{
	sigset_t before, after;
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = 77;
	CHECK(server_start() == 0 && server_start() == 0);
	CHECK(errno == 77);
	sigprocmask(SIG_SETMASK, NULL, &after);
	CHECK(sigismember(&after, SIGUSR2) == 1 && sigismember(&after, SIGTERM) == 0);
	CHECK(answers(connect_unix(server_socket_path())));
}
SERVER_CASE(starts_once_and_leaves_the_caller_as_it_was)

/* All but glibc's two, 32 and 33, which are bits 31 and 32, and KILL and STOP. */
static void the_thread_takes_no_signal_of_the_hosts(void)
{
	CHECK(server_start() == 0);
	CHECK(answers(connect_unix(server_socket_path())));
	unsigned long long blocked = strtoull(thread_status("SigBlk:"), NULL, 16);
	unsigned long long stop_and_kill = 1ull << (SIGSTOP - 1) | 1ull << (SIGKILL - 1);
	CHECK((blocked | stop_and_kill) == ~(3ull << 31));
	/* This signals every thread of the process with 33 and waits for it. */
	CHECK(setgid(getgid()) == 0);
	CHECK(answers(connect_unix(server_socket_path())));
}
SERVER_CASE(the_thread_takes_no_signal_of_the_hosts)

static int refuse_thread(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg)
{
	(void)t, (void)a, (void)f, (void)arg;
	return EAGAIN;
}

static void without_a_thread_there_is_no_socket_either(void)
{
	char path[CONFIG_PATH_BYTES];
	uint16_t port = server_tcp_port();
	strcpy(path, server_socket_path());
	real.pthread_create = refuse_thread;
	catch_stderr();
	int result = server_start();
	CHECK(strcmp(caught_stderr(),
		     "cgoheap: cannot start the server thread: too many threads or processes; the "
		     "program continues without its socket\n") == 0);
	CHECK(result == -1);
	CHECK(access(path, F_OK) != 0 && connect_unix(path) == -1 && connect_tcp(port) == -1);
	CHECK(strcmp(server_socket_path(), "") == 0 && server_tcp_port() == 0);
}
SERVER_CASE(without_a_thread_there_is_no_socket_either)

static size_t stack_sizes[8], stacks_tried;
static int (*create_thread)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* Behaves like glibc in a program whose static TLS does not fit on the stack. */
static int want_a_mebibyte(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg)
{
	size_t bytes;
	pthread_attr_getstacksize(a, &bytes);
	stack_sizes[stacks_tried++] = bytes;
	return bytes < MIB ? EINVAL : create_thread(t, a, f, arg);
}

static void a_stack_too_small_is_tried_larger(void)
{
	create_thread = real.pthread_create;
	real.pthread_create = want_a_mebibyte;
	CHECK(server_start() == 0);
	/* The server's stack, and the worker's. */
	CHECK(stacks_tried == 4 && stack_sizes[1] != stack_sizes[3]);
	for (size_t i = 0; i < 4; i++)
		CHECK(stack_sizes[i] / PAGE_BYTES * PAGE_BYTES == (i % 2 ? MIB : 256 * KIB));
	CHECK(answers(connect_unix(server_socket_path())));
}
SERVER_CASE(a_stack_too_small_is_tried_larger)

static void no_socket_no_thread(void)
{
	struct config c = {.socket_path = "/no/such/directory/a.sock"};
	catch_stderr();
	CHECK(server_bind(&c) == -1);
	caught_stderr();
	CHECK(server_start() == -1);
	CHECK(strcmp(thread_status("Name:"), "") == 0);
}
CASE(no_socket_no_thread)

/* ---- the host's descriptors --------------------------------------------- */

/* Our descriptors that are listening on the unix socket, or connected to it. */
static int find_fd(bool listening)
{
	for (int fd = 3; fd < 1024; fd++) {
		struct sockaddr_un address = {0};
		socklen_t n = sizeof(address);
		int listens = 0;
		socklen_t m = sizeof(listens);
		if (getsockname(fd, (struct sockaddr *)&address, &n) == 0 &&
		    strncmp(address.sun_path, base, strlen(base)) == 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &m) == 0 &&
		    (listens != 0) == listening)
			return fd;
	}
	return -1;
}

static void await_listening(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/a.sock", base);
	for (int i = 0; i < 6000; i++, usleep(10000)) {
		int fd = connect_unix(path);
		if (fd >= 0 && answers(fd))
			return;
	}
	CHECK(!"it is listened to");
}

/* Another process that listens at our addresses and does not answer. */
static pid_t start_other(const char *path, uint16_t port)
{
	int ready[2];
	char byte;
	CHECK(pipe(ready) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sockaddr_un un = {.sun_family = AF_UNIX};
		struct sockaddr_in in = {.sin_family = AF_INET,
					 .sin_port = htons(port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int one = 1, a = socket(AF_UNIX, SOCK_STREAM, 0),
		    b = socket(AF_INET, SOCK_STREAM, 0);
		strcpy(un.sun_path, path);
		setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		CHECK(bind(a, (void *)&un, sizeof(un)) == 0 && listen(a, 16) == 0);
		CHECK(bind(b, (void *)&in, sizeof(in)) == 0 && listen(b, 16) == 0);
		CHECK(write(ready[1], "x", 1) == 1);
		pause();
	}
	CHECK(read(ready[0], &byte, 1) == 1);
	return pid;
}

/* A service restarts before its old process has ended. */
static void who_has_the_socket_ends(void)
{
	struct config c;
	char other[128];
	CHECK(server_tcp_port() != 0);
	c = a_config();
	c.listen_port = server_tcp_port();
	strcpy(other, server_socket_path());
	server_after_fork_in_child(); /* gives up its sockets, which another process would not
				       * have */
	CHECK(unlink(other) == 0);
	pid_t pid = start_other(other, c.listen_port);
	server_bind_again(&c); /* reports that they are taken, and starts the thread */
	CHECK(strcmp(server_socket_path(), "") == 0 && server_tcp_port() == 0);
	usleep(1200000); /* it has retried by now and has not taken the other process's socket */
	CHECK(strcmp(server_socket_path(), "") == 0 && server_is_retrying());
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	await_listening();
	while (server_is_retrying())
		usleep(10000);
	CHECK(answers(connect_tcp(c.listen_port)));
}
SERVER_CASE(who_has_the_socket_ends)

/* Like a daemon: closes all descriptors and opens its own files. */
static void the_host_takes_our_descriptors(void)
{
	int host[2];
	char byte = 0;
	CHECK(server_start() == 0);
	int client = connect_unix(server_socket_path());
	send_text(client, "GET /debug/pprof/cgoheap?seconds=3600 HTTP/1.0\r\n\r\n");
	CHECK(answers(connect_unix(server_socket_path()))); /* so that the first one is accepted */
	int listener = find_fd(true), connection = find_fd(false);
	CHECK(listener >= 0 && connection >= 0);

	/* Their numbers now name the host's pipe, which is readable. */
	CHECK(pipe(host) == 0 && write(host[1], "x", 1) == 1);
	CHECK(dup2(host[0], listener) == listener && dup2(host[0], connection) == connection);
	for (int i = 0; i < 3; i++)
		CHECK(answers(connect_tcp(server_tcp_port()))); /* turns of the loop, which polls
								 * those */
	CHECK(read(host[0], &byte, 1) == 1 && byte == 'x');
	CHECK(fcntl(listener, F_GETFD) >= 0 && fcntl(connection, F_GETFD) >= 0);
	CHECK(strcmp(server_socket_path(), "") == 0);

	/* It listens again, on another descriptor. */
	await_listening();
	CHECK(find_fd(true) != listener && fcntl(listener, F_GETFD) >= 0);

	/* Then it closes the rest: no answers, and no harm. */
	close_range(3, ~0u, 0);
}
SERVER_CASE(the_host_takes_our_descriptors)

static void out_of_descriptors_the_client_waits(void)
{
	struct rlimit limit, full;
	CHECK(server_start() == 0);
	CHECK(answers(connect_unix(server_socket_path())));
	while (find_fd(false) != -1) /* until its end of the connection is a number to be reused */
		usleep(1000);
	int client = socket(AF_UNIX, SOCK_STREAM, 0), top = client, fd;
	while ((fd = dup(client)) < 64)
		top = fd;
	close(fd);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	full = limit;
	full.rlim_cur = (rlim_t)top + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &full) == 0 && dup(0) == -1);

	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, server_socket_path());
	CHECK(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
	send_text(client, GET_INDEX);
	usleep(150000); /* it may or may not try and fail meanwhile: both must end well */
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (fd = client + 1; fd <= top; fd++)
		close(fd);
	CHECK(answers(client));
}
SERVER_CASE(out_of_descriptors_the_client_waits)

/* ---- fork --------------------------------------------------------------- */

static void a_child_lets_go_and_the_parent_serves_on(void)
{
	int status;
	CHECK(server_start() == 0);
	int parked = connect_unix(server_socket_path());
	send_text(parked, "GET /debug/pprof/cgoheap?seconds=3600 HTTP/1.0\r\n\r\n");
	CHECK(answers(connect_unix(server_socket_path())));
	pid_t child = fork();
	if (child == 0) {
		server_after_fork_in_child();
		CHECK(find_fd(true) == -1);
		CHECK(find_fd(false) == -1);
		CHECK(strcmp(server_socket_path(), "") == 0 && server_tcp_port() == 0);
		CHECK(server_start() == 0 && strcmp(thread_status("Name:"), "") == 0);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(answers(connect_unix(server_socket_path())));
	CHECK(answers(connect_tcp(server_tcp_port())));
	CHECK(recv(parked, &status, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}
SERVER_CASE(a_child_lets_go_and_the_parent_serves_on)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound_but_not_started_there_is_no_thread),
		cmocka_unit_test(test_starts_once_and_leaves_the_caller_as_it_was),
		cmocka_unit_test(test_the_thread_takes_no_signal_of_the_hosts),
		cmocka_unit_test(test_without_a_thread_there_is_no_socket_either),
		cmocka_unit_test(test_a_stack_too_small_is_tried_larger),
		cmocka_unit_test(test_no_socket_no_thread),
		cmocka_unit_test(test_the_host_takes_our_descriptors),
		cmocka_unit_test(test_who_has_the_socket_ends),
		cmocka_unit_test(test_out_of_descriptors_the_client_waits),
		cmocka_unit_test(test_a_child_lets_go_and_the_parent_serves_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
