/*
 * Raw system calls only: this runs in the constructor of somebody's program.
 *
 * The descriptor of a file that is mapped is closed at once; the mapping keeps the
 * open file, and with it the lock, until the process is gone, however it ends.
 */
#include "recorder/recorder_file.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "base/dirnames.h"
#include "base/sys.h"
#include "recorder/recorder.h"

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

void recorder_file_name(char out[RECORDER_NAME_BYTES], const char *executable, int pid)
{
	const char *slash = strrchr(executable, '/');
	size_t n = 0;

	for (const char *p = slash ? slash + 1 : executable; *p && n < 64; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || strchr("._-", *p);
		out[n++] = plain ? *p : '_';
	}
	snprintf(out + n, RECORDER_NAME_BYTES - n, "%s.%d", n ? "" : "unknown", pid);
}

/* ---- old files ---------------------------------------------------------- */

struct old_file {
	char name[RECORDER_NAME_BYTES + 16];
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
	size_t n = strlen(name), suffix = sizeof(RECORDER_SUFFIX) - 1;
	return n > suffix && n < sizeof((struct old_file *)0)->name &&
	       strcmp(name + n - suffix, RECORDER_SUFFIX) == 0;
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

static void look_at(void *arg, long dir, const char *name)
{
	struct old_files *all = arg;
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

static void look_at_all(struct old_files *all, long dir)
{
	*all = (struct old_files){0};
	dirnames_each(dir, SCAN, look_at, all);
}

static void make_room(long dir, size_t bytes)
{
	struct old_files all;

	for (int i = 0; i < SCAN; i++) {
		look_at_all(&all, dir);
		if (!all.has_oldest ||
		    (all.count < RECORDER_FILES && all.bytes + bytes <= RECORDER_ALL_BYTES))
			return;
		remove_at(dir, all.oldest.name);
	}
}

/* ---- the new one -------------------------------------------------------- */

static long create(long dir, const char *name, char made[RECORDER_NAME_BYTES + 16])
{
	long fd = -EEXIST;

	for (int i = 0; i < NUMBERS && fd == -EEXIST; i++) {
		if (i == 0)
			snprintf(made, RECORDER_NAME_BYTES + 16, "%s" RECORDER_SUFFIX, name);
		else
			snprintf(made, RECORDER_NAME_BYTES + 16, "%s.%d" RECORDER_SUFFIX, name, i);
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

/* A file system whose files are memory: nobody waits who writes to a mapping of one. */
static bool is_in_memory(long fd)
{
	struct statfs s;
	return !sys_failed(sys_call(fstatfs, fd, &s)) &&
	       (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC || s.f_type == HUGETLBFS_MAGIC);
}

static void *map_file(long fd, size_t bytes, const char **what, long *error)
{
	*what = "map the file";
	long r = sys_call(mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	*error = sys_failed(r) ? -r : 0;
	return sys_failed(r) ? NULL : (void *)r;
}

/*
 * The lock belongs to the open file, which the mapping keeps open; but not on
 * overlayfs, where what is mapped is the file below.  There the lock is free again
 * once fd is closed: a descriptor is then kept, for good, to hold it.
 */
static void close_locked(long at, const char *name, long fd, bool is_mapped)
{
	long again;

	sys_close((int)fd);
	if (!is_mapped)
		return;
	again = open_at(at, name, O_RDONLY);
	if (sys_failed(again))
		return;
	if (!sys_failed(sys_call(flock, again, LOCK_EX | LOCK_NB)))
		sys_move_up(again);
	else
		sys_close((int)again);
}

/* The directory may be a relative one, and the host go elsewhere. */
static void read_path(long fd, char *path, size_t bytes)
{
	char link[32];
	snprintf(link, sizeof(link), "/proc/self/fd/%ld", fd);
	long n = sys_call(readlinkat, AT_FDCWD, link, path, bytes - 1);
	path[sys_failed(n) ? 0 : n] = 0;
}

/* The open file holds the lock: its descriptor is kept. */
static void *beside_file(long fd, size_t bytes, struct recorder_file *file, const char **what,
			 long *error)
{
	void *memory = sys_map_anonymous(bytes);
	*what = "get memory";
	*error = ENOMEM;
	fd = sys_move_up(fd);
	if (sys_failed(fd)) {
		*what = "keep it open";
		*error = -fd;
	}
	file->own = own_fd_take(sys_failed(fd) ? -1 : (int)fd);
	if (memory && file->own.fd >= 0) {
		read_path(fd, file->path, sizeof(file->path));
		return memory;
	}
	if (memory)
		sys_unmap(memory, bytes);
	if (!sys_failed(fd))
		sys_close((int)fd);
	return NULL;
}

/* What is made of fd, which is closed or kept. */
static void *memory_for(long at, const char *made, long fd, size_t bytes, bool is_final,
			struct recorder_file *file, const char **what, long *error)
{
	long r = allocate(fd, bytes, what);
	void *memory = NULL;

	*error = -r;
	if (!sys_failed(r) && !is_final && !is_in_memory(fd))
		return beside_file(fd, bytes, file, what, error);
	if (!sys_failed(r))
		memory = map_file(fd, bytes, what, error);
	if (memory) /* who cuts it off takes memory from under the program: nobody by mistake */
		sys_call(fchmod, fd, 0400);
	close_locked(at, made, fd, memory != NULL);
	return memory;
}

/* go test removes its programs when it ends; the reader takes names from this link. */
static void keep_program(long at, const char *made)
{
	char link[RECORDER_NAME_BYTES + 32];

	snprintf(link, sizeof(link), "%s" RECORDER_PROGRAM_SUFFIX, made);
	sys_call(linkat, AT_FDCWD, "/proc/self/exe", at, link, AT_SYMLINK_FOLLOW);
}

static void leave_empty(long at, const char *name)
{
	long fd = open_at(at, name, O_WRONLY | O_CREAT | O_EXCL);

	if (!sys_failed(fd))
		sys_close((int)fd);
}

void *recorder_file_map(const struct recorder_place *place, size_t bytes,
			struct recorder_file *file, const char **what, long *error)
{
	char made[RECORDER_NAME_BYTES + 16];
	void *memory = NULL;
	long fd, at;

	file->own = OWN_FD_NONE;
	*what = "open the directory";
	/* Only to list it needs the right to read; that of a leak check is not for all to list. */
	at = sys_open_at(AT_FDCWD, place->dir, (place->is_final ? O_PATH : O_RDONLY) | O_DIRECTORY,
			 0);
	if (sys_failed(at)) {
		*error = -at;
		return NULL;
	}
	if (!place->is_final)
		make_room(at, bytes);
	*what = "create a file";
	fd = create(at, place->name, made);
	*error = -fd;
	if (!sys_failed(fd))
		memory = memory_for(at, made, fd, bytes, place->is_final, file, what, error);
	if (!sys_failed(fd) && !memory)
		remove_at(at, made);
	if (memory && place->is_final)
		keep_program(at, made);
	if (!sys_failed(fd) && !memory && place->is_final)
		leave_empty(at, made);
	sys_close((int)at);
	return memory;
}
