/*
 * Runs in the constructor, before main, when the program may rely on its first descriptors, its
 * umask and its silence, so all three stay as they were. A failure prints one line that names
 * the path and the remedy.
 */
#include "serve/endpoint.h"

#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/dirnames.h"
#include "base/netsys.h"
#include "config/log.h"

#define BACKLOG 128

/* ---- reporting errors --------------------------------------------------- */

/* Used by one thread at a time: the constructor's, then the server's. */
static bool is_quiet;

static int complain_path(const char *path, const char *what)
{
	char quoted[LOG_QUOTE_BYTES];
	if (is_quiet)
		return -1;
	log_complain("no socket at %s: %s, or set CGOHEAP_SOCKET to another path",
		     log_quote(quoted, path), what);
	return -1;
}

static int complain_taken(const char *path, const char *what)
{
	complain_path(path, what);
	return ENDPOINT_TAKEN;
}

/* Prints `doing: permission denied; remedy`; result is as the kernel returned it. */
static int complain_error(const char *path, const char *doing, long result, const char *remedy)
{
	char what[160], number[LOG_ERROR_BYTES];
	snprintf(what, sizeof(what), "%s: %s; %s", doing, log_error_text(-result, number), remedy);
	return complain_path(path, what);
}

/* Does not follow a symbolic link. */
static long look_at(const char *path, struct stat *st)
{
	return sys_call(newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

/* ---- our directory ------------------------------------------------------ */

static int check_directory(const char *path, const struct stat *st)
{
	char what[128];
	if (!S_ISDIR(st->st_mode))
		return complain_path(
			path, "it is not a directory (or a symbolic link to one); remove it");
	if (st->st_uid != sys_geteuid()) {
		snprintf(what, sizeof(what),
			 "that directory belongs to uid %u, not to %u; remove it", st->st_uid,
			 sys_geteuid());
		return complain_path(path, what);
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		snprintf(what, sizeof(what),
			 "that directory can be written by others (mode %04o); chmod 700 it",
			 st->st_mode & 07777);
		return complain_path(path, what);
	}
	return 0;
}

/*
 * Creates the directory if needed and checks what is there. No other user can replace it after
 * that, because it is in a directory that is ours or sticky. Returns 0; -1 after a line on
 * stderr; 1 if the parent cannot hold it (nothing is printed if quiet).
 */
static int make_directory(const char *path, bool quiet)
{
	struct stat st;
	long made = sys_call(mkdirat, AT_FDCWD, path, 0700);
	if (made < 0 && made != -EEXIST) {
		if (!quiet)
			complain_error(path, "cannot create that directory", made,
				       "create it, owned by this user with mode 700");
		return 1;
	}
	long r = sys_call(newfstatat, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return complain_error(path, "cannot inspect that directory", r, "remove it");
	return check_directory(path, &st);
}

/* The default path in parent; returns as make_directory does. */
static int default_path_in(const char *parent, bool quiet, char path[CONFIG_PATH_BYTES])
{
	size_t n =
		(size_t)snprintf(path, CONFIG_PATH_BYTES, "%s/cgoheap-%u", parent, sys_geteuid());
	if (n + strlen("/4294967295.sock") >= CONFIG_PATH_BYTES)
		return 1;
	int result = make_directory(path, quiet);
	if (result == 0)
		snprintf(path + n, CONFIG_PATH_BYTES - n, "/%d.sock", sys_getpid());
	return result;
}

static bool is_our_directory(const char *path)
{
	struct stat st;
	return look_at(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == sys_geteuid();
}

/*
 * XDG_RUNTIME_DIR may name a directory that does not exist or is not ours (sudo keeps the other
 * user's, containers inherit the host's). It is then treated as not set.
 */
static int default_path(const char *runtime, char path[CONFIG_PATH_BYTES])
{
	if (*runtime != '\0' && is_our_directory(runtime)) {
		int result = default_path_in(runtime, true, path);
		if (result <= 0)
			return result;
	}
	return default_path_in("/tmp", false, path) == 0 ? 0 : -1;
}

/* ---- binding ------------------------------------------------------------ */

static bool somebody_answers(const struct sockaddr_un *address)
{
	long fd = net_socket(AF_UNIX);
	if (fd < 0)
		return true; /* unknown: leave it alone */
	long r = net_connect((int)fd, address, sizeof(*address));
	sys_close((int)fd);
	return r != -ECONNREFUSED;
}

/* Removes a dead socket's file. Returns as endpoint_open_unix does. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat before, now;
	const char *path = address->sun_path;
	if (look_at(path, &before) < 0)
		return 0; /* gone meanwhile */
	if (!S_ISSOCK(before.st_mode))
		return complain_path(path, "it is not a socket; remove it");
	if (somebody_answers(address))
		return complain_taken(path, "another process listens there; end it");
	/* Another process may also have found it stale and put its own socket there. */
	if (look_at(path, &now) < 0 || now.st_ino != before.st_ino || now.st_dev != before.st_dev)
		return complain_taken(path, "another process has just taken it; end it");
	long r = sys_call(unlinkat, AT_FDCWD, path);
	if (r < 0 && r != -ENOENT)
		return complain_error(path, "cannot replace the socket of a dead process", r,
				      "remove it");
	return 0;
}

static int bind_unix(int fd, const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	/*
	 * The file of the socket gets the mode that the socket has when it is bound
	 * (net/unix/af_unix.c, unix_bind), so it is never open to others, even in a shared
	 * directory, and the host's umask is left alone.
	 */
	sys_call(fchmod, fd, 0600);
	long r = net_bind(fd, address, sizeof(*address));
	if (r == -EADDRINUSE) {
		int result = remove_stale(address);
		if (result != 0)
			return result;
		r = net_bind(fd, address, sizeof(*address));
	}
	if (r < 0)
		return complain_error(path, "cannot create it", r,
				      "make its directory writable for this user");
	/* For a umask that removes the owner's bits too, and kernels that are not Linux. */
	sys_call(fchmodat, AT_FDCWD, path, 0600);
	r = net_listen(fd, BACKLOG);
	if (r < 0) {
		sys_call(unlinkat, AT_FDCWD, path);
		return complain_error(path, "cannot listen", r, "check the limits of this process");
	}
	return 0;
}

int endpoint_open_unix(struct own_fd *own, const struct config *config, bool quiet,
		       char bound[CONFIG_PATH_BYTES])
{
	is_quiet = quiet;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = config->socket_path;
	*own = OWN_FD_NONE;
	bound[0] = '\0';
	if (*path == '\0') {
		if (default_path(config->runtime_dir, address.sun_path) != 0)
			return -1;
	} else {
		strcpy(address.sun_path, path);
	}
	long fd = net_socket(AF_UNIX);
	if (fd < 0)
		return complain_error(address.sun_path, "cannot create a socket", fd,
				      "check the limits of this process");
	int result = bind_unix((int)fd, &address);
	if (result != 0) {
		sys_close((int)fd);
		return result;
	}
	strcpy(bound, address.sun_path);
	*own = own_fd_take((int)fd);
	return 0;
}

/* ---- sockets of dead processes ----------------------------------------- */

#define SWEEP_NAMES 4096 /* names read per sweep */
#define SWEEP_ASKED 256  /* sockets connected to per sweep */

/* A younger socket may be bound but not listening yet. */
#define SWEEP_AGE_NS INT64_C(100000000)

struct sweep {
	char directory[CONFIG_PATH_BYTES]; /* including the last slash */
	int64_t now_ns;                    /* since 1970 */
	unsigned asked;
};

/* Returns 42 for "42.sock", as default_path_in writes it; 0 for any other name. */
static int pid_in_name(const char *name)
{
	uint64_t pid;
	bool is_pid = *name != '0' && ascii_number(&name, &pid) && pid <= INT_MAX &&
		      strcmp(name, ".sock") == 0;
	return is_pid ? (int)pid : 0;
}

/* As far as this PID namespace shows; true if unknown. */
static bool may_live(int pid)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	return look_at(path, &st) != -ENOENT;
}

static int64_t modified_ns(const struct stat *st)
{
	return st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
}

static void sweep_one(void *arg, long dir, const char *name)
{
	struct sweep *s = arg;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int pid = pid_in_name(name);
	(void)dir;
	if (pid == 0 || s->asked == SWEEP_ASKED || may_live(pid) ||
	    strlen(s->directory) + strlen(name) >= sizeof(address.sun_path))
		return;
	stpcpy(stpcpy(address.sun_path, s->directory), name);
	if (look_at(address.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    st.st_uid != sys_geteuid() || s->now_ns - modified_ns(&st) < SWEEP_AGE_NS)
		return;
	s->asked++;
	remove_stale(&address);
}

void endpoint_sweep(const char *bound)
{
	struct sweep s = {.now_ns = (int64_t)clock_ns(CLOCK_REALTIME)};
	const char *slash = strrchr(bound, '/');
	if (slash == NULL)
		return;
	is_quiet = true;
	memcpy(s.directory, bound, (size_t)(slash - bound) + 1);
	long dir = sys_open_at(AT_FDCWD, s.directory, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return;
	dirnames_each(dir, SWEEP_NAMES, sweep_one, &s);
	sys_close((int)dir);
}

/* ---- TCP ---------------------------------------------------------------- */

static int complain_tcp(uint32_t address, uint16_t port, long result)
{
	char number[LOG_ERROR_BYTES];
	if (!is_quiet)
		log_complain(
			"cannot listen on %u.%u.%u.%u:%u: %s; set CGOHEAP_LISTEN to another port, "
			"or to port 0 for any free one",
			address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255, port,
			log_error_text(-result, number));
	return result == -EADDRINUSE ? ENDPOINT_TAKEN : -1;
}

static long listen_tcp(int fd, struct sockaddr_in *address)
{
	int one = 1;
	socklen_t n = sizeof(*address);
	/* Allows the port of a service that has just been restarted. */
	net_set_option(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	long r = net_bind(fd, address, sizeof(*address));
	if (r == 0)
		r = net_listen(fd, BACKLOG);
	if (r == 0)
		r = net_own_name(fd, address, &n);
	return r;
}

int endpoint_open_tcp(struct own_fd *own, uint32_t address, uint16_t port, bool quiet,
		      uint16_t *bound)
{
	is_quiet = quiet;
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(address),
	};
	*own = OWN_FD_NONE;
	*bound = 0;
	long fd = net_socket(AF_INET);
	if (fd < 0)
		return complain_tcp(address, port, fd);
	long r = listen_tcp((int)fd, &in);
	if (r < 0) {
		sys_close((int)fd);
		return complain_tcp(address, port, r);
	}
	*bound = ntohs(in.sin_port);
	*own = own_fd_take((int)fd);
	return 0;
}
