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
#include <sys/file.h>
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

/* While the default places are tried: what is wrong with each, for one line. */
static struct {
	bool is_on, has_refused;
	char text[384];
} tried;

static void note_place(const char *path, const char *what)
{
	char quoted[LOG_QUOTE_BYTES];
	size_t n = strlen(tried.text);
	snprintf(tried.text + n, sizeof(tried.text) - n, "%s%s: %s", n > 0 ? "; nor at " : "",
		 log_quote(quoted, path), what);
}

static int complain_path(const char *path, const char *what)
{
	char quoted[LOG_QUOTE_BYTES];
	if (tried.is_on)
		note_place(path, what);
	else if (!is_quiet)
		log_complain("no socket at %s: %s, or set CGOHEAP_SOCKET to another path",
			     log_quote(quoted, path), what);
	return -1;
}

/* A directory that is not safe: if asked, told even if another place is good. */
static int refuse_directory(const char *path, const char *what)
{
	tried.has_refused = true;
	return complain_path(path, what);
}

static int complain_taken(const char *path, const char *what)
{
	complain_path(path, what);
	return ENDPOINT_TAKEN;
}

/*
 * Prints `doing: permission denied; remedy`; result is as the kernel returned it.  The remedy of
 * the default places is one for all.
 */
static int complain_error(const char *path, const char *doing, long result, const char *remedy)
{
	char what[160], number[LOG_ERROR_BYTES];
	snprintf(what, sizeof(what), tried.is_on ? "%s: %s" : "%s: %s; %s", doing,
		 log_error_text(-result, number), remedy);
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
		return refuse_directory(
			path, "it is not a directory (or a symbolic link to one); remove it");
	if (st->st_uid != sys_geteuid()) {
		snprintf(what, sizeof(what),
			 "that directory belongs to uid %u, not to %u; remove it", st->st_uid,
			 sys_geteuid());
		return refuse_directory(path, what);
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		snprintf(what, sizeof(what),
			 "that directory can be written by others (mode %04o); chmod 700 it",
			 st->st_mode & 07777);
		return refuse_directory(path, what);
	}
	return 0;
}

/*
 * Creates the directory if needed and checks what is there. No other user can replace it after
 * that, because it is in a directory that is ours or sticky.
 */
static int make_directory(const char *path)
{
	struct stat st;
	long made = sys_call(mkdirat, AT_FDCWD, path, 0700);
	if (made == 0)
		sys_call(fchmodat, AT_FDCWD, path,
			 0700); /* for a umask that removes the owner's bits */
	else if (made != -EEXIST)
		return complain_error(path, "cannot create that directory", made, "");
	long r = look_at(path, &st);
	if (r < 0)
		return complain_error(path, "cannot inspect that directory", r, "");
	return check_directory(path, &st);
}

static bool is_our_directory(const char *path)
{
	struct stat st;
	return look_at(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == sys_geteuid();
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

/*
 * Removes a dead socket's file. Returns as endpoint_open_unix does.  A socket that is bound but
 * does not listen yet looks dead: in our directory no process is between the two, by its lock.
 */
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

/* Returns as endpoint_open_unix does. */
static int open_socket(struct own_fd *own, const struct sockaddr_un *address)
{
	long fd = net_socket(AF_UNIX);
	if (fd < 0)
		return complain_error(address->sun_path, "cannot create a socket", fd,
				      "check the limits of this process");
	int result = bind_unix((int)fd, address);
	if (result == 0)
		*own = own_fd_take((int)fd);
	else
		sys_close((int)fd);
	return result;
}

/* ---- the default places ------------------------------------------------- */

/*
 * Containers that share a directory have the same process IDs: a name that another process holds
 * is followed by "42-2.sock" to "42-32.sock". The command tries the same (socketNames).
 */
#define NAMES 32

/* Tries of a lock that a process holds while it binds, and the pause between two. */
#define LOCK_TRIES    10
#define LOCK_PAUSE_NS 1000000

/* A descriptor of our directory with its lock, or -1. */
static long lock_directory(const char *path, int tries)
{
	struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	long dir = sys_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return -1;
	for (; tries > 0; tries--) {
		if (sys_call(flock, dir, LOCK_EX | LOCK_NB) == 0)
			return dir;
		if (tries > 1)
			net_poll(NULL, 0, &pause);
	}
	sys_close((int)dir);
	return -1;
}

/* Binds the first name that no live process holds.  Without the lock, one that is free. */
static int open_numbered(struct own_fd *own, const char *directory, struct sockaddr_un *address)
{
	int result = ENDPOINT_TAKEN;
	size_t n = strlen(directory);
	long lock = lock_directory(directory, LOCK_TRIES);
	stpcpy(address->sun_path, directory);
	for (int i = 1; i <= NAMES && result == ENDPOINT_TAKEN; i++) {
		struct stat st;
		char *end = address->sun_path + n;
		size_t room = sizeof(address->sun_path) - n;
		if (i == 1)
			snprintf(end, room, "/%d.sock", sys_getpid());
		else
			snprintf(end, room, "/%d-%d.sock", sys_getpid(), i);
		if (lock >= 0 || look_at(address->sun_path, &st) == -ENOENT)
			result = open_socket(own, address);
	}
	if (lock >= 0)
		sys_close((int)lock);
	return result;
}

static int open_in(struct own_fd *own, const char *parent, struct sockaddr_un *address)
{
	char directory[CONFIG_PATH_BYTES];
	size_t n = (size_t)snprintf(directory, sizeof(directory), "%s/cgoheap-%u", parent,
				    sys_geteuid());
	if (n + strlen("/4294967295-32.sock") >= sizeof(address->sun_path) ||
	    make_directory(directory) != 0)
		return -1;
	return open_numbered(own, directory, address);
}

/*
 * XDG_RUNTIME_DIR may name a directory that does not exist or is not ours (sudo keeps the other
 * user's, containers inherit the host's). It is then treated as not set. A root file system may
 * be read-only, or have no /tmp; what holds shared memory is there even then. The user named none
 * of these places, so what is wrong with them is told only if asked.
 */
static int open_default(struct own_fd *own, const struct config *config,
			struct sockaddr_un *address)
{
	const char *const parents[] = {config->runtime_dir, "/tmp", "/dev/shm"};
	char quoted[LOG_QUOTE_BYTES];
	int result = -1;
	tried.is_on = true;
	tried.has_refused = false;
	tried.text[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(parents) && result != 0; i++)
		if (i > 0 || is_our_directory(parents[i]))
			result = open_in(own, parents[i], address);
	tried.is_on = false;
	if (is_quiet || !config->verbose)
		return result;
	if (result != 0)
		log_complain("no socket at %s; mount a writable directory at /tmp, or set "
			     "CGOHEAP_SOCKET to another path",
			     tried.text);
	else if (tried.has_refused)
		log_complain("no socket at %s; using %s", tried.text,
			     log_quote(quoted, address->sun_path));
	return result;
}

int endpoint_open_unix(struct own_fd *own, const struct config *config, bool quiet,
		       char bound[CONFIG_PATH_BYTES])
{
	is_quiet = quiet;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int result;
	*own = OWN_FD_NONE;
	bound[0] = '\0';
	if (config->socket_path[0] == '\0') {
		result = open_default(own, config, &address);
	} else {
		strcpy(address.sun_path, config->socket_path);
		result = open_socket(own, &address);
	}
	if (result == 0)
		strcpy(bound, address.sun_path);
	return result;
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

/* Returns 42 for "42.sock" or "42-2.sock", as open_numbered writes them; 0 for any other name. */
static int pid_in_name(const char *name)
{
	uint64_t pid, number;
	if (*name == '0' || !ascii_number(&name, &pid) || pid > INT_MAX)
		return 0;
	if (*name == '-' && (*++name == '0' || !ascii_number(&name, &number)))
		return 0;
	return strcmp(name, ".sock") == 0 ? (int)pid : 0;
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
	long dir = lock_directory(s.directory, 1);
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
