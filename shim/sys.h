/*
 * Raw system calls.  They do not pass the hooks (ours or anybody's), do not
 * touch errno, allocate nothing and are safe in a signal handler and after
 * fork.  Each returns what the kernel returns: a value, or -errno.
 */
#ifndef CGOHEAP_SYS_H
#define CGOHEAP_SYS_H

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
 * Zeroed private memory, or NULL.  Untouched pages cost nothing.  In a build that
 * looks for races its runtime has to hear that what lies here was never anybody
 * else's.
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
	return sys_failed(r) ? NULL : (void *)r;
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

static inline long sys_open_read(const char *path)
{
	return arch_syscall6(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

static inline void sys_close(int fd)
{
	arch_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
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
