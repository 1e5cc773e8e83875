/*
 * Raw system calls.  They do not pass the hooks (ours or anybody's), do not
 * touch errno, allocate nothing and are safe in a signal handler and after
 * fork.  Each returns what the kernel returns: a value, or -errno.
 */
#ifndef CGOHEAP_SYS_H
#define CGOHEAP_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "arch.h"
#include "base.h"

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
	long r = arch_syscall6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_failed(r))
		return NULL;
	arch_syscall6(SYS_madvise, r, (long)bytes, MADV_NOHUGEPAGE, 0, 0, 0);
	return (void *)r;
#endif
}

static inline void sys_unmap(void *p, size_t bytes)
{
#ifdef __SANITIZE_THREAD__
	munmap(p, bytes);
#else
	arch_syscall6(SYS_munmap, (long)p, (long)bytes, 0, 0, 0, 0);
#endif
}

static inline void sys_close(int fd)
{
	arch_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
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
	high = arch_syscall6(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3, 0, 0, 0);
	sys_close((int)fd);
	return sys_failed(high) ? -EMFILE : high;
}

/*
 * One that is kept.  A program that counts on its first open being descriptor 3, or
 * selects over low numbers, keeps that: ours go as far up as the limit on
 * descriptors lets them.
 */
static inline long sys_move_up(long fd)
{
	static const int lowest[] = {200, 100, 50, 25, 12};
	for (size_t i = 0; i < COUNT_OF(lowest) && !sys_failed(fd) && fd < lowest[i]; i++) {
		long high = arch_syscall6(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest[i], 0, 0, 0);
		if (sys_failed(high))
			continue;
		sys_close((int)fd);
		return high;
	}
	return sys_move_off_standard(fd);
}

/* As openat, with O_CLOEXEC. */
static inline long sys_open_at(long dir, const char *path, int flags, int mode)
{
	return sys_move_off_standard(
		arch_syscall6(SYS_openat, dir, (long)path, flags | O_CLOEXEC, mode, 0, 0));
}

static inline long sys_open_read(const char *path)
{
	return sys_open_at(AT_FDCWD, path, O_RDONLY, 0);
}

static inline long sys_read(int fd, void *buf, size_t n)
{
	return arch_syscall6(SYS_read, fd, (long)buf, (long)n, 0, 0, 0);
}

static inline long sys_pread(int fd, void *buf, size_t n, uint64_t offset)
{
	return arch_syscall6(SYS_pread64, fd, (long)buf, (long)n, (long)offset, 0, 0);
}

static inline long sys_write(int fd, const void *buf, size_t n)
{
	return arch_syscall6(SYS_write, fd, (long)buf, (long)n, 0, 0, 0);
}

static inline int sys_gettid(void)
{
	return (int)arch_syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_getpid(void)
{
	return (int)arch_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

/*
 * Whether the 8 bytes at p can be read.  The kernel copies the new mask in
 * before it looks at `how`, so an unreadable address answers EFAULT and a
 * readable one EINVAL, and nothing changes (kernel/signal.c, rt_sigprocmask).
 */
static inline bool sys_readable(const void *p)
{
	return arch_syscall6(SYS_rt_sigprocmask, -1, (long)p, 0, 8, 0, 0) == -22 /* EINVAL */;
}

#endif
