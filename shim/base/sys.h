/*
 * Raw system calls.  They do not pass the hooks (ours or anybody's), do not
 * touch errno, allocate nothing and are safe in a signal handler and after
 * fork.  Each returns what the kernel returns: a value, or -errno.
 *
 * sys_call(NAME, arguments...) and sys_rare(NAME, arguments...) are the only ways
 * to make one; what is left out is 0.  Both know the names of syscalls.h alone.
 */
#ifndef CGOHEAP_SYS_H
#define CGOHEAP_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/arch.h"
#include "base/base.h"
#include "base/seccomp.h"
#include "base/syscalls.h"

#ifdef CGOHEAP_FAULTS
#include "base/faultinject.h"
#define SYS_MAKE faultinject_syscall6
#else
#define SYS_MAKE arch_syscall6
#endif
#define SYS_PAD(n, a, b, c, d, e, f, ...)                                                          \
	SYS_MAKE(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#define sys_call(name, ...) SYS_PAD(SYSCALL_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* One that a usual filter kills for: -EPERM under any filter, and not tried. */
#define sys_rare(name, ...)                                                                        \
	(seccomp_allows_rare() ? SYS_PAD(SYSCALL_RARE_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)     \
			       : -EPERM)
#pragma GCC poison arch_syscall6

static inline bool sys_failed(long result)
{
	return (unsigned long)result >= (unsigned long)-4095L;
}

/*
 * Zeroed private memory, or NULL.  Untouched pages cost nothing, and a touched one
 * costs that page: of tables that are touched here and there huge pages would make
 * all resident.  In a build that looks for races its runtime has to hear that what
 * lies here was never anybody else's.
 */
static inline void *sys_map_anonymous(size_t bytes)
{
#ifdef __SANITIZE_THREAD__
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
#else
	long r = sys_call(mmap, 0, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (sys_failed(r))
		return NULL;
	sys_call(madvise, r, bytes, MADV_NOHUGEPAGE);
	return (void *)r;
#endif
}

static inline void sys_unmap(void *p, size_t bytes)
{
#ifdef __SANITIZE_THREAD__
	munmap(p, bytes);
#else
	sys_call(munmap, p, bytes);
#endif
}

static inline void sys_close(int fd)
{
	sys_call(close, fd);
}

/*
 * Descriptors.  The host owns the table of them: what is closed of its 0 to 2 is
 * for its own next open, and what it writes to 2 must not reach a file of ours.
 * So no descriptor of ours stays there, not even for one read: every one that is
 * made passes here or through sys_move_up.  -EMFILE where the limit leaves no other.
 */
static inline long sys_move_off_standard(long fd)
{
	long high;
	if (sys_failed(fd) || fd > 2)
		return fd;
	high = sys_call(fcntl, fd, F_DUPFD_CLOEXEC, 3);
	sys_close((int)fd);
	return sys_failed(high) ? -EMFILE : high;
}

/*
 * One that is kept.  A program that counts on its first open being descriptor 3, or
 * selects over low numbers, keeps that: ours go as far up as the limit on
 * descriptors lets them.  The lowest are left to the program: -EMFILE, and fd is closed.
 */
static inline long sys_move_up(long fd)
{
	static const int lowest[] = {200, 100, 50, 25, 12};
	for (size_t i = 0; i < COUNT_OF(lowest) && !sys_failed(fd) && fd < lowest[i]; i++) {
		long high = sys_call(fcntl, fd, F_DUPFD_CLOEXEC, lowest[i]);
		if (sys_failed(high))
			continue;
		sys_close((int)fd);
		return high;
	}
	if (sys_failed(fd) || fd >= lowest[COUNT_OF(lowest) - 1])
		return fd;
	sys_close((int)fd);
	return -EMFILE;
}

/* As openat, with O_CLOEXEC. */
static inline long sys_open_at(long dir, const char *path, int flags, int mode)
{
	return sys_move_off_standard(sys_call(openat, dir, path, flags | O_CLOEXEC, mode));
}

static inline long sys_open_read(const char *path)
{
	return sys_open_at(AT_FDCWD, path, O_RDONLY, 0);
}

static inline long sys_read(int fd, void *buf, size_t n)
{
	return sys_call(read, fd, buf, n);
}

static inline long sys_pread(int fd, void *buf, size_t n, uint64_t offset)
{
	return sys_call(pread64, fd, buf, n, offset);
}

static inline long sys_write(int fd, const void *buf, size_t n)
{
	return sys_call(write, fd, buf, n);
}

static inline int sys_gettid(void)
{
	return (int)sys_call(gettid);
}

static inline int sys_getpid(void)
{
	return (int)sys_call(getpid);
}

static inline uid_t sys_geteuid(void)
{
	return (uid_t)sys_call(geteuid);
}

#endif
