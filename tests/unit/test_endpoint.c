/* Where the socket is created, what prevents it, and the messages. */
#include "child.h"
#include "client.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "config/log.h"
#include "serve/endpoint.h"

/* Each case runs in a child with its own working directory. */
static char base[64];

static void enter_base(void)
{
	strcpy(base, "/tmp/cgoheap-test-XXXXXX");
	CHECK(mkdtemp(base) != NULL);
	CHECK(chdir(base) == 0);
}

static void leave_base(void)
{
	char command[128];
	CHECK(chdir("/") == 0);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	CHECK(system(command) == 0);
}

#define PLACE_CASE(f)                                                                              \
	static void f##_in_base(void)                                                              \
	{                                                                                          \
		enter_base();                                                                      \
		f();                                                                               \
		leave_base();                                                                      \
	}                                                                                          \
	static void test_##f(void **state)                                                         \
	{                                                                                          \
		(void)state;                                                                       \
		run_in_child(f##_in_base);                                                         \
	}

static struct own_fd own;
static char bound[CONFIG_PATH_BYTES];

static int open_at(const char *path)
{
	struct config config = {0};
	strcpy(config.socket_path, path);
	return endpoint_open_unix(&own, &config, false, bound);
}

static bool is_verbose;

static int open_default(const char *runtime_dir)
{
	struct config config = {.verbose = is_verbose};
	strcpy(config.runtime_dir, runtime_dir);
	return endpoint_open_unix(&own, &config, false, bound);
}

/* Checks the one line printed when path is refused. */
static void check_refused(const char *path, const char *why)
{
	char line[512];
	catch_stderr();
	int result = open_at(path);
	const char *said = caught_stderr();
	snprintf(line, sizeof(line),
		 "cgoheap: no socket at \"%s\": %s, or set CGOHEAP_SOCKET to another path\n", path,
		 why);
	/* Only a listener may go away; no other failure is worth another try. */
	int expected = strncmp(why, "another process", 15) == 0 ? ENDPOINT_TAKEN : -1;
	if (result != expected || strcmp(said, line) != 0)
		fprintf(stderr, "%d: %s", result, said);
	CHECK(result == expected && strcmp(said, line) == 0);
	CHECK(own.fd == -1 && bound[0] == '\0');
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* ---- a path that was given ---------------------------------------------- */

static void a_given_path_is_taken_as_it_is(void)
{
	umask(0);
	CHECK(open_at("a.sock") == 0);
	CHECK(strcmp(bound, "a.sock") == 0);
	CHECK(mode_of("a.sock") == 0600);
	CHECK(umask(0) == 0); /* left alone */
	CHECK(own_fd_is_ours(&own));
	CHECK((fcntl(own.fd, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK((fcntl(own.fd, F_GETFL) & O_NONBLOCK) != 0);
	CHECK(connect_unix("a.sock") >= 0);
}
PLACE_CASE(a_given_path_is_taken_as_it_is)

static void a_hard_umask_still_lets_the_owner_in(void)
{
	umask(0777);
	CHECK(open_at("a.sock") == 0);
	CHECK(mode_of("a.sock") == 0600);
	umask(0);
}
PLACE_CASE(a_hard_umask_still_lets_the_owner_in)

/* The program's first open still gets descriptor 3. */
static void low_descriptors_stay_the_programs(void)
{
	int first = dup(0);
	close(first);
	CHECK(open_at("a.sock") == 0);
	CHECK(own.fd >= 200);
	CHECK(dup(0) == first);
}
PLACE_CASE(low_descriptors_stay_the_programs)

static void a_low_limit_on_descriptors_is_no_obstacle(void)
{
	struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(open_at("a.sock") == 0);
	CHECK(own.fd < 64);
	CHECK(connect_unix("a.sock") >= 0);
}
PLACE_CASE(a_low_limit_on_descriptors_is_no_obstacle)

static void the_socket_of_a_dead_process_is_replaced(void)
{
	CHECK(open_at("a.sock") == 0);
	close(own.fd); /* as when the process ends: the file stays */
	CHECK(connect_unix("a.sock") == -1);
	catch_stderr();
	int result = open_at("a.sock");
	CHECK(strcmp(caught_stderr(), "") == 0 && result == 0);
	CHECK(connect_unix("a.sock") >= 0);
}
PLACE_CASE(the_socket_of_a_dead_process_is_replaced)

static void a_socket_in_use_is_not(void)
{
	CHECK(open_at("a.sock") == 0);
	struct own_fd first = own;
	check_refused("a.sock", "another process listens there; end it");
	CHECK(connect_unix("a.sock") >= 0);
	CHECK(own_fd_is_ours(&first));
}
PLACE_CASE(a_socket_in_use_is_not)

/* ---- sockets that others left ------------------------------------------- */

/* The PID of an ended process, which is not reused this soon. */
static int gone_pid(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	return pid;
}

/* Creates a socket of that age at that path; returns its descriptor, which listens. */
static int socket_at(const char *path, int age_s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timespec then[2];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, path);
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0);
	clock_gettime(CLOCK_REALTIME, &then[0]);
	then[0].tv_sec -= age_s;
	then[1] = then[0];
	CHECK(utimensat(AT_FDCWD, path, then, 0) == 0);
	return fd;
}

static bool is_there(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static const char *named(char path[64], const char *format, int pid)
{
	snprintf(path, 64, format, pid);
	return path;
}

static void dead_sockets_in_our_directory_are_swept(void)
{
	char path[64], kept[8][64];
	static const char *const others[] = {"%d.sock.old", "0%d.sock", "x%d.sock",
					     "%d",          "%d-.sock", "%d-02.sock"};
	int gone = gone_pid(), listens = gone_pid(), young = gone_pid(), file = gone_pid();

	close(socket_at(named(path, "%d.sock", gone), 5));
	close(socket_at(named(path, "%d-31.sock", gone), 5));
	for (size_t i = 0; i < COUNT_OF(others); i++)
		close(socket_at(named(kept[i], others[i], gone), 5));
	close(socket_at(named(kept[6], "%d.sock", getppid()), 5)); /* a live process */
	close(open(named(kept[7], "%d.sock", file), O_CREAT | O_WRONLY, 0600));
	int fd = socket_at(named(path, "%d.sock", listens), 5);
	close(socket_at(named(path, "%d.sock", young), -5));
	catch_stderr();
	endpoint_sweep("./1.sock");
	CHECK(strcmp(caught_stderr(), "") == 0);
	CHECK(!is_there(named(path, "%d.sock", gone)));
	CHECK(!is_there(named(path, "%d-31.sock", gone)));
	CHECK(is_there(named(path, "%d.sock", listens)) && connect_unix(path) >= 0);
	CHECK(is_there(named(path, "%d.sock", young)));
	for (size_t i = 0; i < COUNT_OF(kept); i++)
		CHECK(is_there(kept[i]));
	close(fd);
	endpoint_sweep("./1.sock");
	CHECK(!is_there(named(path, "%d.sock", listens)));
}
PLACE_CASE(dead_sockets_in_our_directory_are_swept)

/* More sockets than one sweep handles: the rest is removed by the next; another user's are kept. */
static void a_sweep_has_an_end(void)
{
	char path[64];
	int left = 0, fd = socket_at("a", 5);
	close(fd);
	/* Above the highest possible PID (PID_MAX_LIMIT, 1 << 22). */
	for (int i = 0; i < 300; i++)
		CHECK(link("a", named(path, "%d.sock", 5000000 + i)) == 0);
	endpoint_sweep("./1.sock");
	for (int i = 0; i < 300; i++)
		left += is_there(named(path, "%d.sock", 5000000 + i));
	CHECK(left == 300 - 256);
	CHECK(chown("a", 65534, 65534) == 0);
	endpoint_sweep("./1.sock");
	for (int i = 0; i < 300; i++)
		left -= is_there(named(path, "%d.sock", 5000000 + i));
	CHECK(left == 0);
	CHECK(chown("a", geteuid(), getegid()) == 0);
	endpoint_sweep("./1.sock");
	for (int i = 0; i < 300; i++)
		CHECK(!is_there(named(path, "%d.sock", 5000000 + i)));
}
PLACE_CASE(a_sweep_has_an_end)

/* A listener with a full backlog is alive. */
static void a_socket_with_a_full_backlog_is_in_use(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "a.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 0) == 0);
	CHECK(connect_unix("a.sock") >= 0);
	check_refused("a.sock", "another process listens there; end it");
}
PLACE_CASE(a_socket_with_a_full_backlog_is_in_use)

static void other_files_are_never_removed(void)
{
	close(open("file", O_CREAT | O_WRONLY, 0600));
	CHECK(mkdir("dir", 0700) == 0);
	CHECK(symlink("nowhere", "link") == 0);
	check_refused("file", "it is not a socket; remove it");
	check_refused("dir", "it is not a socket; remove it");
	check_refused("link", "it is not a socket; remove it");
	CHECK(access("file", F_OK) == 0 && access("dir", F_OK) == 0);
}
PLACE_CASE(other_files_are_never_removed)

static void a_place_that_cannot_be_is_named(void)
{
	close(open("file", O_CREAT | O_WRONLY, 0600));
	check_refused("no/such/a.sock", "cannot create it: no such directory; make its directory "
					"writable for this user");
	check_refused("file/a.sock",
		      "cannot create it: a part of the path is not a directory; make "
		      "its directory writable for this user");
	/* Root can write anywhere. */
	if (geteuid() == 0)
		CHECK(chmod(".", 0755) == 0 && seteuid(65534) == 0);
	else
		CHECK(chmod(".", 0500) == 0);
	check_refused("a.sock", "cannot create it: permission denied; make its directory writable "
				"for this user");
	CHECK(seteuid(getuid()) == 0 && chmod(".", 0700) == 0);
}
PLACE_CASE(a_place_that_cannot_be_is_named)

/* ---- the default place -------------------------------------------------- */

static void the_default_is_in_the_runtime_directory(void)
{
	char expected[CONFIG_PATH_BYTES], dir[CONFIG_PATH_BYTES];
	snprintf(dir, sizeof(dir), "%s/cgoheap-%u", base, geteuid());
	snprintf(expected, sizeof(expected), "%.80s/%d.sock", dir, getpid());
	umask(0);
	CHECK(open_default(base) == 0);
	CHECK(strcmp(bound, expected) == 0);
	CHECK(mode_of(dir) == 0700 && mode_of(bound) == 0600);
	/* again, now that the directory exists */
	close(own.fd);
	CHECK(open_default(base) == 0);
}
PLACE_CASE(the_default_is_in_the_runtime_directory)

static void check_in_tmp(const char *runtime_dir)
{
	char expected[CONFIG_PATH_BYTES];
	snprintf(expected, sizeof(expected), "/tmp/cgoheap-%u/%d.sock", geteuid(), getpid());
	CHECK(open_default(runtime_dir) == 0);
	CHECK(strcmp(bound, expected) == 0);
	CHECK(connect_unix(bound) >= 0);
	close(own.fd);
	CHECK(unlink(bound) == 0);
}

static void else_it_is_in_tmp(void)
{
	char long_dir[CONFIG_PATH_BYTES];
	check_in_tmp("");
	check_in_tmp("/no/such/directory");
	/* too long for the socket's name */
	int n = snprintf(long_dir, sizeof(long_dir), "%s/", base);
	memset(long_dir + n, 'x', 80);
	long_dir[n + 80] = '\0';
	CHECK(mkdir(long_dir, 0700) == 0);
	check_in_tmp(long_dir);
	if (geteuid() == 0) { /* as after sudo: another user's directory */
		CHECK(chown(base, 65534, 65534) == 0);
		check_in_tmp(base);
	}
}
PLACE_CASE(else_it_is_in_tmp)

static void check_directory_refused(const char *why)
{
	char line[512];
	is_verbose = false;
	catch_stderr();
	CHECK(open_default(base) == 0 && caught_stderr()[0] == '\0');
	close(own.fd);
	CHECK(unlink(bound) == 0);
	is_verbose = true;
	catch_stderr();
	int result = open_default(base);
	const char *said = caught_stderr();
	snprintf(line, sizeof(line),
		 "cgoheap: no socket at \"%s/cgoheap-%u\": %s; using \"/tmp/cgoheap-%u/%d.sock\"\n",
		 base, geteuid(), why, geteuid(), getpid());
	if (strcmp(said, line) != 0)
		fprintf(stderr, "%s", said);
	CHECK(result == 0 && strcmp(said, line) == 0 && own.fd >= 0);
	close(own.fd);
	CHECK(unlink(bound) == 0);
}

static void a_directory_others_can_write_is_refused(void)
{
	char name[32];
	snprintf(name, sizeof(name), "cgoheap-%u", geteuid());
	CHECK(mkdir(name, 0700) == 0);
	CHECK(chmod(name, 0770) == 0);
	check_directory_refused(
		"that directory can be written by others (mode 0770); chmod 700 it");
	CHECK(chmod(name, 01777) == 0);
	check_directory_refused(
		"that directory can be written by others (mode 1777); chmod 700 it");
	CHECK(chmod(name, 0755) == 0);
	CHECK(open_default(base) == 0);
}
PLACE_CASE(a_directory_others_can_write_is_refused)

static void a_directory_that_is_none_is_refused(void)
{
	char name[32];
	static const char why[] = "it is not a directory (or a symbolic link to one); remove it";
	snprintf(name, sizeof(name), "cgoheap-%u", geteuid());
	CHECK(mkdir("elsewhere", 0700) == 0 && symlink("elsewhere", name) == 0);
	check_directory_refused(why);
	CHECK(unlink(name) == 0);
	close(open(name, O_CREAT | O_WRONLY, 0600));
	check_directory_refused(why);
}
PLACE_CASE(a_directory_that_is_none_is_refused)

static void a_directory_of_another_user_is_refused(void)
{
	char name[32];
	if (geteuid() != 0)
		return; /* only root can create one */
	snprintf(name, sizeof(name), "cgoheap-%u", geteuid());
	CHECK(mkdir(name, 0700) == 0 && chown(name, 65534, 65534) == 0);
	check_directory_refused("that directory belongs to uid 65534, not to 0; remove it");
}
PLACE_CASE(a_directory_of_another_user_is_refused)

/* As in containers that share it: the same process ID, and a live process. */
static void a_name_in_use_is_followed_by_numbers(void)
{
	char first[CONFIG_PATH_BYTES];
	struct own_fd firsts;
	CHECK(open_default(base) == 0);
	strcpy(first, bound);
	firsts = own;
	CHECK(open_default(base) == 0);
	CHECK(strncmp(bound, first, strlen(first) - 5) == 0);
	CHECK(strcmp(bound + strlen(first) - 5, "-2.sock") == 0);
	CHECK(connect_unix(first) >= 0 && connect_unix(bound) >= 0);
	/* the first has ended: the next start takes its name */
	close(firsts.fd);
	CHECK(open_default(base) == 0 && strcmp(bound, first) == 0);
	catch_stderr();
	for (int i = 3; i <= 32; i++)
		CHECK(open_default(base) == 0);
	CHECK(strcmp(bound + strlen(first) - 5, "-32.sock") == 0);
	CHECK(strcmp(caught_stderr(), "") == 0);
}
PLACE_CASE(a_name_in_use_is_followed_by_numbers)

/* A socket that is bound but does not listen yet looks dead: nothing is replaced unlocked. */
static void nothing_is_replaced_while_another_starts(void)
{
	char first[CONFIG_PATH_BYTES], dir[64], path[96];
	CHECK(open_default(base) == 0);
	strcpy(first, bound);
	close(own.fd);
	snprintf(dir, sizeof(dir), "cgoheap-%u", geteuid());
	snprintf(path, sizeof(path), "%s/4999999.sock", dir); /* PID_MAX_LIMIT is 1 << 22 */
	int lock = open(dir, O_RDONLY | O_DIRECTORY);
	CHECK(lock >= 0 && flock(lock, LOCK_EX) == 0);
	CHECK(open_default(base) == 0 && strcmp(bound, first) != 0);
	CHECK(connect_unix(bound) >= 0);
	close(socket_at(path, 5));
	endpoint_sweep(bound);
	CHECK(is_there(path));
	close(lock);
	endpoint_sweep(bound);
	CHECK(!is_there(path));
	CHECK(open_default(base) == 0 && strcmp(bound, first) == 0);
}
PLACE_CASE(nothing_is_replaced_while_another_starts)

/* ---- TCP ---------------------------------------------------------------- */

static void tcp_takes_any_port_or_the_one_given(void)
{
	uint16_t port, again;
	char line[256];
	CHECK(endpoint_open_tcp(&own, INADDR_LOOPBACK, 0, false, &port) == 0);
	CHECK(port != 0 && own.fd >= 200);
	CHECK(connect_tcp(port) >= 0);

	struct own_fd second;
	catch_stderr();
	int result = endpoint_open_tcp(&second, INADDR_LOOPBACK, port, false, &again);
	const char *said = caught_stderr();
	snprintf(line, sizeof(line),
		 "cgoheap: cannot listen on 127.0.0.1:%u: in use; set CGOHEAP_LISTEN to another "
		 "port, or to port 0 for any free one\n",
		 port);
	CHECK(result == ENDPOINT_TAKEN && second.fd == -1 && again == 0);
	CHECK(strcmp(said, line) == 0);
}
CASE(tcp_takes_any_port_or_the_one_given)

/* ---- a descriptor the host has taken ------------------------------------ */

static void a_reused_number_is_not_ours(void)
{
	CHECK(open_at("a.sock") == 0);
	int fd = own.fd, other[2];
	CHECK(pipe(other) == 0 && dup2(other[0], fd) == fd);
	CHECK(!own_fd_is_ours(&own));
	own_fd_close(&own);
	CHECK(fcntl(fd, F_GETFD) >= 0); /* still the host's pipe */
	CHECK(own.fd == -1 && !own_fd_is_ours(&own));
}
PLACE_CASE(a_reused_number_is_not_ours)

static void errors_have_words_or_a_number(void **state)
{
	char number[LOG_ERROR_BYTES];
	(void)state;
	assert_string_equal(log_error_text(13, number), "permission denied");
	assert_string_equal(log_error_text(4095, number), "error 4095");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_given_path_is_taken_as_it_is),
		cmocka_unit_test(test_a_hard_umask_still_lets_the_owner_in),
		cmocka_unit_test(test_low_descriptors_stay_the_programs),
		cmocka_unit_test(test_a_low_limit_on_descriptors_is_no_obstacle),
		cmocka_unit_test(test_the_socket_of_a_dead_process_is_replaced),
		cmocka_unit_test(test_dead_sockets_in_our_directory_are_swept),
		cmocka_unit_test(test_a_sweep_has_an_end),
		cmocka_unit_test(test_a_socket_in_use_is_not),
		cmocka_unit_test(test_a_socket_with_a_full_backlog_is_in_use),
		cmocka_unit_test(test_other_files_are_never_removed),
		cmocka_unit_test(test_a_place_that_cannot_be_is_named),
		cmocka_unit_test(test_the_default_is_in_the_runtime_directory),
		cmocka_unit_test(test_else_it_is_in_tmp),
		cmocka_unit_test(test_a_directory_others_can_write_is_refused),
		cmocka_unit_test(test_a_directory_that_is_none_is_refused),
		cmocka_unit_test(test_a_directory_of_another_user_is_refused),
		cmocka_unit_test(test_a_name_in_use_is_followed_by_numbers),
		cmocka_unit_test(test_nothing_is_replaced_while_another_starts),
		cmocka_unit_test(test_tcp_takes_any_port_or_the_one_given),
		cmocka_unit_test(test_a_reused_number_is_not_ours),
		cmocka_unit_test(errors_have_words_or_a_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
