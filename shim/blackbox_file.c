/*
 * Raw system calls only: this runs in the constructor of somebody's program.
 *
 * The descriptor is closed at once; the mapping keeps the open file, and with
 * it the lock, until the process is gone, however it ends.
 */
#include "blackbox_file.h"

#include <dirent.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "blackbox.h"
#include "sys.h"

#define NUMBERS 100 /* tried after a name that is taken: pid 1 of container after container */
#define SCAN    256 /* files looked at in a directory */

static long open_at(long dir, const char *name, int flags)
{
	return sys_open_at(dir, name, flags | O_NOFOLLOW | O_NONBLOCK, 0600);
}

static void remove_at(long dir, const char *name)
{
	sys_call(unlinkat, dir, name, 0);
}

void blackbox_file_name(char out[BLACKBOX_NAME_BYTES], const char *executable, int pid)
{
	const char *slash = strrchr(executable, '/');
	size_t n = 0;

	for (const char *p = slash ? slash + 1 : executable; *p && n < 64; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || strchr("._-", *p);
		out[n++] = plain ? *p : '_';
	}
	snprintf(out + n, BLACKBOX_NAME_BYTES - n, "%s.%d", n ? "" : "unknown", pid);
}

/* ---- old files ---------------------------------------------------------- */

struct old_file {
	char name[BLACKBOX_NAME_BYTES + 16];
	int64_t modified_s, modified_ns;
	uint64_t bytes;
};

struct old_files {
	size_t count;
	uint64_t bytes;
	bool has_oldest;
	struct old_file oldest; /* of those nobody has mapped */
};

static bool is_ours(const char *name)
{
	size_t n = strlen(name), suffix = sizeof BLACKBOX_SUFFIX - 1;
	return n > suffix && n < sizeof((struct old_file *)0)->name &&
	       strcmp(name + n - suffix, BLACKBOX_SUFFIX) == 0;
}

/* Whether its process has ended. */
static bool is_free(long dir, const char *name)
{
	long fd = open_at(dir, name, O_RDONLY);
	bool is_locked;

	if (sys_failed(fd))
		return false;
	is_locked = sys_failed(sys_call(flock, fd, LOCK_EX | LOCK_NB));
	sys_close((int)fd);
	return !is_locked;
}

static void look_at(struct old_files *all, long dir, const char *name)
{
	struct stat s;
	struct old_file f;

	if (!is_ours(name) ||
	    sys_failed(sys_call(newfstatat, dir, name, &s, AT_SYMLINK_NOFOLLOW)) ||
	    !S_ISREG(s.st_mode))
		return;
	all->count++;
	all->bytes += (uint64_t)s.st_blocks * 512;
	strcpy(f.name, name);
	f.modified_s = s.st_mtim.tv_sec;
	f.modified_ns = s.st_mtim.tv_nsec;
	f.bytes = (uint64_t)s.st_blocks * 512;
	if (all->has_oldest &&
	    (f.modified_s > all->oldest.modified_s ||
	     (f.modified_s == all->oldest.modified_s && f.modified_ns >= all->oldest.modified_ns)))
		return;
	if (is_free(dir, name)) {
		all->oldest = f;
		all->has_oldest = true;
	}
}

struct linux_dirent64 {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

static void look_at_all(struct old_files *all, long dir)
{
	char buffer[4096] __attribute__((aligned(8)));
	size_t seen = 0;
	long n;

	*all = (struct old_files){0};
	sys_call(lseek, dir, 0, SEEK_SET);
	while (seen < SCAN && (n = sys_call(getdents64, dir, buffer, sizeof buffer)) > 0)
		for (long at = 0; at < n; seen++) {
			struct linux_dirent64 *entry = (void *)(buffer + at);
			look_at(all, dir, entry->name);
			at += entry->bytes;
		}
}

static void make_room(long dir, size_t bytes)
{
	struct old_files all;

	for (int i = 0; i < SCAN; i++) {
		look_at_all(&all, dir);
		if (!all.has_oldest ||
		    (all.count < BLACKBOX_FILES && all.bytes + bytes <= BLACKBOX_ALL_BYTES))
			return;
		remove_at(dir, all.oldest.name);
	}
}

/* ---- the new one -------------------------------------------------------- */

static long create(long dir, const char *name, char made[BLACKBOX_NAME_BYTES + 16])
{
	long fd = -EEXIST;

	for (int i = 0; i < NUMBERS && fd == -EEXIST; i++) {
		if (i == 0)
			snprintf(made, BLACKBOX_NAME_BYTES + 16, "%s" BLACKBOX_SUFFIX, name);
		else
			snprintf(made, BLACKBOX_NAME_BYTES + 16, "%s.%d" BLACKBOX_SUFFIX, name, i);
		fd = open_at(dir, made, O_RDWR | O_CREAT | O_EXCL);
	}
	return fd;
}

/* A file beyond the limit (ulimit -f) would not only fail: SIGXFSZ ends the host. */
static bool is_within_limit(size_t bytes)
{
	struct rlimit64 limit;
	long r = sys_call(prlimit64, 0, RLIMIT_FSIZE, 0, &limit);
	return !sys_failed(r) && limit.rlim_cur >= bytes;
}

/* Its pages exist on the disk from now on.  0, or -errno. */
static long allocate(long fd, size_t bytes, const char **what)
{
	long r;

	*what = "lock the file";
	r = sys_call(flock, fd, LOCK_EX | LOCK_NB);
	if (sys_failed(r))
		return r;
	*what = "allocate the file's space";
	if (!is_within_limit(bytes))
		return -EFBIG;
	do
		r = sys_call(fallocate, fd, 0, 0, bytes);
	while (r == -EINTR);
	return r;
}

static void *map(long fd, size_t bytes, const char **what, long *error)
{
	long r = allocate(fd, bytes, what);

	if (!sys_failed(r)) {
		*what = "map the file";
		r = sys_call(mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	}
	*error = sys_failed(r) ? -r : 0;
	return sys_failed(r) ? NULL : (void *)r;
}

/*
 * The lock belongs to the open file, which the mapping keeps open; but not on
 * overlayfs, where what is mapped is the file below.  There the lock is free again
 * once fd is closed: a descriptor is then kept, for good, to hold it.
 */
static void close_locked(long at, const char *name, long fd)
{
	long again;

	sys_close((int)fd);
	again = open_at(at, name, O_RDWR);
	if (sys_failed(again))
		return;
	if (!sys_failed(sys_call(flock, again, LOCK_EX | LOCK_NB)))
		sys_move_up(again);
	else
		sys_close((int)again);
}

void *blackbox_file_map(const char *dir, const char *name, size_t bytes, const char **what,
			long *error)
{
	char made[BLACKBOX_NAME_BYTES + 16];
	void *memory = NULL;
	long fd, at;

	*what = "open the directory";
	at = sys_open_at(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	if (sys_failed(at)) {
		*error = -at;
		return NULL;
	}
	make_room(at, bytes);
	*what = "create a file";
	fd = create(at, name, made);
	if (sys_failed(fd)) {
		*error = -fd;
	} else {
		memory = map(fd, bytes, what, error);
		if (!memory)
			remove_at(at, made);
		close_locked(at, made, fd);
	}
	sys_close((int)at);
	return memory;
}
