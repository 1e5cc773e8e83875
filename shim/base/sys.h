/*
 * Raw system calls.  They bypass all hooks, ours and others', leave errno untouched,
 * allocate nothing and are safe in signal handlers and after fork.  Each returns what
 * the kernel returns: a value or -errno.
 *
 * sys_call(NAME, arguments...) and sys_rare(NAME, arguments...) are the only ways to make
 * one; missing arguments are 0.  Both accept only the names in syscalls.h.
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

/* For calls that a common filter kills for: not made under any filter, result -EPERM. */
#define sys_rare(name, ...)                                                                        \
	(seccomp_allows_rare() ? SYS_PAD(SYSCALL_RARE_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)     \
			       : -EPERM)
#pragma GCC poison arch_syscall6

#ifndef MREMAP_DONTUNMAP /* glibc 2.32 */
#define MREMAP_DONTUNMAP 4
#endif

static inline bool sys_failed(long result)
{
	return (unsigned long)result >= (unsigned long)-4095L;
}

/*
 * Zeroed private memory, or NULL.  Only touched pages cost memory; without huge pages,
 * because sparsely touched tables would become fully resident.  In a TSan build the
 * runtime must see the mapping, to know that no other thread owned this memory before.
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
 * Descriptors.  The host owns the descriptor table: its next open must get whatever it
 * closed of 0 to 2, and what it writes to 2 must not reach a file of ours.  So the shim
 * never keeps a descriptor in 0 to 2, not even for one read: each new one passes through
 * here or through sys_move_up.  -EMFILE if the limit leaves no other number.
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
 * For descriptors that are kept.  Some programs rely on their first open returning 3, or
 * select over low numbers, so ours move as high as the descriptor limit allows.
 * The lowest numbers are left to the program: if no other is free, fd is closed, and -EMFILE.
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
